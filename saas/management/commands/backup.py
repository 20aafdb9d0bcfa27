import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from saas.database.dumps import DumpUnavailable, postgres_environment, postgres_program, server_version

STOPS = (signal.SIGTERM, signal.SIGHUP)


class Command(BaseCommand):
    help = "Write a consistent copy of the whole PostgreSQL database to a new file, while the services run (pg_dump)."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="A new file, readable by its owner only.")

    def handle(self, *, file: Path, **options: Any) -> None:
        if file.exists():
            raise CommandError(f"{file} is there already. Nothing was written.")
        with _draft_of(file) as draft:
            _dump(draft)
            os.close(_create(file))  # fails if the file was made meanwhile: a rename alone would replace it
            draft.rename(file)
        self.stdout.write(f"Wrote {file.stat().st_size:,} bytes to {file}. The secrets are not in it: keep them apart.")


@contextmanager
def _draft_of(file: Path) -> Iterator[Path]:
    """Yield a draft's name in the folder of ``file``, so that an interrupted copy does not look whole. Delete it at the end."""
    draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}.part")
    heard = [number for number in STOPS if signal.getsignal(number) is not signal.SIG_IGN]  # nohup
    earlier_handlers = {number: signal.signal(number, _stop) for number in heard}
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)
        for number, handler in earlier_handlers.items():
            signal.signal(number, handler)


def _stop(number: int, _: object) -> None:
    sys.exit(128 + number)


def _create(file: Path) -> int:
    try:
        return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CommandError(f"{file} cannot be made: {error.strerror}.") from error


def _dump(file: Path) -> None:
    with os.fdopen(_create(file), "wb") as out:
        try:
            environment = postgres_environment()
            program = postgres_program("pg_dump", server_version())
            command = [program, "--format=custom", "--no-owner", "--no-privileges"]
            done = subprocess.run(command, env=environment, stdout=out, check=False)  # noqa: S603
        except DumpUnavailable as error:
            raise CommandError(str(error)) from error
    if done.returncode:
        raise CommandError("pg_dump failed: nothing was kept.")
