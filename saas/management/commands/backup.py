import os
import subprocess
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from saas.database.dumps import DumpUnavailable, postgres_environment, postgres_program


class Command(BaseCommand):
    help = "Write a consistent copy of the whole PostgreSQL database to a new file, while the services run (pg_dump)."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="A new file, readable by its owner only.")

    def handle(self, *, file: Path, **options: Any) -> None:
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise CommandError(f"{file} cannot be made: {error.strerror}.") from error
        with os.fdopen(descriptor, "wb") as out:
            try:
                command = [postgres_program("pg_dump"), "--format=custom", "--no-owner", "--no-privileges"]
                done = subprocess.run(command, env=postgres_environment(), stdout=out, check=False)  # noqa: S603
            except DumpUnavailable as error:
                file.unlink()
                raise CommandError(str(error)) from error
        if done.returncode:
            file.unlink()
            raise CommandError("pg_dump failed: nothing was kept.")
        self.stdout.write(f"Wrote {file.stat().st_size:,} bytes to {file}. The secrets are not in it: keep them apart.")
