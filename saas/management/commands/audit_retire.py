"""``manage.py audit_retire --before … --archive … --reason …``: archive and delete the oldest part of the audit trail."""

import sys
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from saas.audit import hash_chain, retention, verification


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError("Give a date or time in ISO form: 2026-01-31.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Command(BaseCommand):
    help = (
        "Write the events before a time to a file and delete them from the trail, whose rest still verifies. "
        "For the tables' owner; the role under which the services run cannot do it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--before", type=_moment, required=True, help="Keep everything since then (UTC).")
        parser.add_argument("--archive", type=Path, required=True, help="A new file, JSON lines: put it away safely.")
        parser.add_argument("--reason", required=True)

    def handle(self, *, before: datetime, archive: Path, reason: str, **options: Any) -> None:
        hash_chain.extend_chain()
        if fault := next(verification.find_trail_faults(), None):
            raise CommandError(f"Nothing was retired: the trail is not as it was written. {fault}")
        part = retention.oldest_segment(before)
        if part is None:
            self.stdout.write("Nothing is that old.")
            return
        try:
            with archive.open("xb") as file:
                digest = retention.retire_segment(part, file, by="system", reason=reason)
        except (OSError, DatabaseError) as error:
            self.stderr.write(f"Nothing was retired: {str(error).strip().splitlines()[0]}")
            sys.exit(1)
        hash_chain.extend_chain()
        self.stdout.write(f"{part.events} events, up to link {part.number}, are in {archive} (SHA-256 {digest}).")
