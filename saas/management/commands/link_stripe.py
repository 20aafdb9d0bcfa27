"""``manage.py link_stripe``: link customers who exist at the payment provider to accounts here."""

import csv
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from saas.billing.linking.move_in import Match, match_customers
from saas.management.billing import BillingCommand
from saas.management.terminal import waiting, write_each


class Command(BillingCommand):
    help = (
        "Link customers and subscriptions that exist at the payment provider to accounts: by the ids in a file, else by an "
        "e-mail address that exactly one account has confirmed. Lists first who would gain or lose access."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file", nargs="?", help="CSV without a header: the provider's customer, our user, team or address."
        )
        parser.add_argument("--dry-run", action="store_true", help="Only list; change nothing.")
        parser.add_argument("--yes", action="store_true", help="Link without asking after the list.")

    def handle(self, *args: Any, **options: Any) -> None:
        accounts = _read(options["file"]) if options["file"] else {}
        linkable: list[Match] = []
        count = write_each(self.stdout, "Reading the provider's customers …", self._match(accounts, linkable))
        self.stdout.write(f"{len(linkable)} of {count} customers can be linked")
        if options["dry_run"] or not linkable:
            return
        if not options["yes"] and input("Link them? [y/N] ").strip().lower() != "y":
            raise CommandError("Nothing was changed.")
        with waiting(self.stdout, "Linking …"):
            linked = [match for match in match_customers(accounts, dry_run=False) if match.owner]
        self.stdout.write(f"{len(linked)} customers linked")

    def _match(self, accounts: dict[str, str], linkable: list[Match]) -> Iterator[str]:
        """Yield a sentence for each customer; collect in ``linkable`` those whose account is known."""
        for match in match_customers(accounts, dry_run=True):
            if match.owner:
                linkable.append(match)
            yield _sentence(match)


def _read(path: str) -> dict[str, str]:
    """Raises ``CommandError`` for a file that is not there, and for a line that is not two values."""
    try:
        lines = Path(path).read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
    separator = ";" if lines and ";" in lines[0] else ","
    accounts: dict[str, str] = {}
    for number, row in enumerate(csv.reader(lines, delimiter=separator), start=1):
        values = [value.strip() for value in row]
        if not any(values):
            continue
        if len(values) != 2 or not all(values):
            raise CommandError(f"{path}, line {number}: a customer of the provider, a comma, and an account.")
        if values[0] in accounts:
            raise CommandError(f"{path}, line {number}: {values[0]} stands in an earlier line, too.")
        accounts[values[0]] = values[1]
    return accounts


def _sentence(match: Match) -> str:
    name = f"{match.external_id} {match.email}".strip()
    if match.owner is None:
        return f"{name}: not linked. {match.reason}"
    changes = [f"gains {', '.join(match.gains)}"] if match.gains else []
    changes += [f"loses {', '.join(match.loses)}"] if match.loses else []
    return f"{name} -> {match.owner} ({match.reason}): {'; '.join(changes) or 'access stays as it is'}"
