import json as as_text
import logging
import sys
from contextlib import ExitStack
from typing import IO, Any, cast

import httpx
from django.conf import settings
from django.core.management import BaseCommand, CommandError, CommandParser
from rich.console import Console

from saas.conformance import report
from saas.conformance.contract import load_contract
from saas.conformance.runner import Result, ServiceUnderTest, run_rules
from saas.management.terminal import progress

TIMEOUT_SECONDS = 30.0


class Command(BaseCommand):
    help = (
        "Test a running service, in any language, against the authentication contract, by HTTP alone. "
        "Registers two or three accounts of its own and deletes them afterwards. Exit code 1 if a rule fails. "
        "Without a URL: Product, where `up` has put it."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "url", nargs="?", help="Base URL of the contract's paths, such as http://127.0.0.1:8000/api"
        )
        parser.add_argument("--convention", choices=sorted(load_contract().conventions), default="snake")
        parser.add_argument(
            "--peer",
            metavar="URL",
            help="Another service with the same accounts: also run the rules about shared sessions.",
        )
        parser.add_argument("--peer-convention", choices=sorted(load_contract().conventions), default="snake")
        parser.add_argument("--only", action="append", default=[], metavar="RULE", help="One rule; may be repeated.")
        parser.add_argument("--list", action="store_true", help="List the rules and call nothing.")
        parser.add_argument("--json", action="store_true", help="One JSON document instead of a table.")

    def handle(self, *, url: str | None, convention: str, only: list[str], json: bool, **options: Any) -> None:
        if options["list"]:
            self.stdout.write("\n".join(f"{rule.id:<24}{rule.says}" for rule in load_contract().rules))
            return
        url = url or f"{settings.SERVICE_BASE_URLS['product']}/api"
        if unknown := set(only) - {rule.id for rule in load_contract().rules}:
            raise CommandError(f"There is no rule {', '.join(sorted(unknown))}; --list names them.")
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every request
        with ExitStack() as stack:
            claim = ServiceUnderTest(stack.enter_context(_client(url)), convention)
            peer = (
                ServiceUnderTest(stack.enter_context(_client(options["peer"])), options["peer_convention"])
                if options["peer"]
                else None
            )
            results = self._run(claim, peer, only)
        if json:
            self.stdout.write(as_text.dumps(report.json_report(url, convention, results), indent=2))
        else:
            report.print_table(Console(file=cast(IO[str], self.stdout._out)), url, convention, results)
        if not all(result.holds for result in results):
            sys.exit(1)

    def _run(self, claim: ServiceUnderTest, peer: ServiceUnderTest | None, only: list[str]) -> list[Result]:
        """Show on a terminal how many rules have been tried."""
        rules = run_rules(claim, peer=peer, only=only)
        if not self.stderr.isatty():
            return list(rules)
        with progress(Console(file=cast(IO[str], self.stderr._out))) as bar:
            return list(bar.track(rules, total=len(only or load_contract().rules), description="Rules"))


def _client(url: str) -> httpx.Client:
    """Return a client that ignores the environment's proxies."""
    return httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS, trust_env=False)
