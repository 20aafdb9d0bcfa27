"""``manage.py rotate [NAME]``: which phase of a secret's rotation may come next, by what the running processes report."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from saas.database.clock import database_now
from saas.operations.rotation.phases import next_phase
from saas.operations.rotation.process_reports import running_processes
from saas.operations.rotation.rotating_secrets import RotatingSecret, rotating_secrets


class Command(BaseCommand):
    help = (
        "Say which phase of a secret's rotation may come next. Exits with 1 where something has to be waited for. "
        "It writes no secret: environment variables are yours."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", help="The secret's environment variable. Without it: all of them.")
        parser.add_argument(
            "--move",
            action="store_true",
            help="First move what is encrypted under another value to the one that signs.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        known = rotating_secrets()
        name = options["name"]
        if name and name not in known:
            raise CommandError(f"{name} is none of {', '.join(known)}.")
        if options["move"]:
            self._move(known.get(name))
        waits = [secret for secret in ([known[name]] if name else known.values()) if not self._show(secret)]
        if name and waits:
            sys.exit(1)

    def _move(self, secret: RotatingSecret | None) -> None:
        if secret is None or secret.move_all is None:
            raise CommandError("--move needs the name of a secret that encrypts: SAAS_MFA_KEY.")
        self.stdout.write(f"Moved {secret.move_all():,}.")

    def _show(self, secret: RotatingSecret) -> bool:
        processes = running_processes()
        self.stdout.write(secret.name)
        for process in processes:
            values = process.accepted.get(secret.name, [])
            self.stdout.write(f"  {process.label:40} {' '.join(values) or 'not set'}")
        phase = next_phase(secret, processes, database_now())
        self.stdout.write(f"  {phase.sentence}")
        return phase.may_begin
