import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, TextIO, cast

from django.core.management.base import BaseCommand, CommandError

from saas.accounts.user_import import formats
from saas.accounts.user_import.actions import ImportSummary, Options, import_users
from saas.accounts.user_import.password_hashes import FirebaseParameters, UnusableHash, firebase_parameters
from saas.management.terminal import console, progress

LINES_BETWEEN_REPORTS = 10_000


class Command(BaseCommand):
    help = (
        "Create customers from another system's export, with their password hashes (bcrypt, argon2id, Django's PBKDF2, "
        "Firebase's scrypt), which are renewed at the first login. May be repeated; sends no mail. "
        "Exit code 1 if an entry was refused. See saas/docs/moving-in.md."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--format", choices=sorted(formats.READERS), required=True)
        parser.add_argument("--dry-run", action="store_true", help="Say what would happen, and store nothing.")
        parser.add_argument(
            "--trust-addresses", action="store_true", help="Addresses are verified where the file does not say."
        )
        firebase = parser.add_argument_group("Firebase", "The hash parameters that its console shows.")
        firebase.add_argument("--firebase-signer-key", metavar="BASE64", default="")
        firebase.add_argument("--firebase-salt-separator", metavar="BASE64", default="Bw==")
        firebase.add_argument("--firebase-rounds", type=int, default=8)
        firebase.add_argument("--firebase-mem-cost", type=int, default=14)

    def handle(self, *, file: Path, format: str, dry_run: bool, **options: Any) -> None:
        started = time.monotonic()
        chosen = Options(firebase=_firebase(options), trusts_addresses=options["trust_addresses"], is_dry_run=dry_run)
        try:
            total = sum(1 for _ in formats.read(file, format))  # all of it can be read, before anything is stored
            outcome = self._import(file, format, total, chosen)
        except formats.UnreadableFile as error:
            raise CommandError(f"{file}: {error}") from error
        would_be = "would be " if dry_run else ""
        self.stdout.write(
            f"{outcome.created} {would_be}imported, {outcome.existing} there already, {len(outcome.refused)} refused, "
            f"in {time.monotonic() - started:.0f} s."
        )
        if outcome.refused:
            sys.exit(1)

    def _import(self, file: Path, format: str, total: int, options: Options) -> ImportSummary:
        outcome, told = ImportSummary(), 0
        is_terminal = self.stderr.isatty()
        with progress(console(cast(TextIO, self.stderr._out)), disable=not is_terminal) as bar:
            task = bar.add_task("People", total=total)
            for outcome in import_users(formats.read(file, format), options):
                bar.update(task, completed=outcome.read)
                for place, sentence in outcome.refused[told:]:
                    self.stderr.write(f"{place}: {sentence}")
                told = len(outcome.refused)
                if not is_terminal and outcome.read % LINES_BETWEEN_REPORTS == 0:
                    self.stderr.write(f"{outcome.read} of {total}")
        return outcome


def _firebase(options: dict[str, Any]) -> FirebaseParameters | None:
    if not options["firebase_signer_key"]:
        return None
    try:
        return firebase_parameters(
            signer_key=options["firebase_signer_key"],
            salt_separator=options["firebase_salt_separator"],
            rounds=options["firebase_rounds"],
            mem_cost=options["firebase_mem_cost"],
        )
    except UnusableHash as error:
        raise CommandError(str(error)) from error
