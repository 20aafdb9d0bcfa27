"""``manage.py plans export`` and ``manage.py plans import plans.toml``: the catalogue as a file."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from saas.billing.catalogue import plan_file
from saas.errors import DomainError
from saas.management.billing import BillingCommand


class Command(BillingCommand):
    help = "Write the plans and prices as TOML, or bring them to what such a file says."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("export", help="Write the catalogue to standard output.")
        reads = actions.add_parser("import", help="Change the catalogue, and say what changed. May be repeated.")
        reads.add_argument("file", help="A path, or - for standard input.")
        reads.add_argument("--dry-run", action="store_true", help="Only say what would change.")

    def handle(self, *, action: str, **options: Any) -> None:
        if action == "export":
            self.stdout.write(plan_file.export_plans(), ending="")
        else:
            self._import(options["file"], dry_run=options["dry_run"])

    def _import(self, file: str, *, dry_run: bool) -> None:
        try:
            text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
            changes = plan_file.import_plans(text, by="system", dry_run=dry_run)
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} cannot be read: {error}") from error
        except DomainError as refusal:
            raise CommandError("\n".join([*refusal.sentences, "Nothing was changed."])) from refusal
        for sentence in changes or ["Nothing changes."]:
            self.stdout.write(f"would change: {sentence}" if dry_run and changes else sentence)
