import subprocess
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser, call_command
from django.db import connection

from saas.database.dumps import DumpUnavailable, postgres_environment, postgres_program, server_version


class Command(BaseCommand):
    help = (
        "Restore a file of `backup` into an empty PostgreSQL database in one transaction, and verify the audit trail."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *, file: Path, **options: Any) -> None:
        try:
            environment = postgres_environment()
            program = postgres_program("pg_restore", server_version())
        except DumpUnavailable as error:
            raise CommandError(str(error)) from error
        if connection.introspection.table_names():
            raise CommandError("This database has tables. Restore into a new one, and point the services at it.")
        if not file.is_file():
            raise CommandError(f"{file} is no file.")
        # Without comments: only the owner of an extension may comment on it, and another role may have created it here.
        command = [program, "--single-transaction", "--exit-on-error", "--no-owner", "--no-comments"]
        command.append(f"--dbname={environment['PGDATABASE']}")
        if subprocess.run([*command, str(file)], env=environment, check=False).returncode:  # noqa: S603
            raise CommandError("pg_restore failed: the database is as empty as before.")
        call_command("audit_verify", stdout=self.stdout, stderr=self.stderr)
        self.stdout.write("Restored. Under another owner than before, run create_roles.")
