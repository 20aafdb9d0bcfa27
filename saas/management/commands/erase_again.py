"""``manage.py erase_again usr_… usr_…``: after a restore."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from saas.accounts.privacy.erasure import erase_again
from saas.errors import DomainError


class Command(BaseCommand):
    help = "Erase accounts that a restored backup has brought back: those that the log calls account_erased since then."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("users", nargs="+", metavar="usr_…")

    def handle(self, *, users: list[str], **options: Any) -> None:
        refused = 0
        for user_id in users:
            try:
                self.stdout.write(f"{user_id}: {'erased' if erase_again(user_id) else 'nothing to erase'}")
            except DomainError as refusal:
                refused += 1
                self.stdout.write(f"{user_id}: {refusal.detail}")
        if refused:
            raise CommandError(f"{refused} of {len(users)} could not be erased.")
