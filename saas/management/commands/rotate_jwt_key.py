"""``manage.py rotate_jwt_key``: a new key for access tokens, without a token being refused."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from saas.accounts.models import Audience
from saas.accounts.sessions import key_rotation
from saas.errors import DomainError

AUDIENCES = {"customers": Audience.CUSTOMER, "staff": Audience.STAFF}


class Command(BaseCommand):
    help = "Publish the next key of JWT_KEY_DIR. It signs ten minutes later; the one before verifies while its tokens live."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--audience", choices=AUDIENCES, default="customers")
        parser.add_argument(
            "--compromised",
            action="store_true",
            help="Somebody else may have the key: replace it at once. Every access token is refused, clients refresh.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        turn = key_rotation.replace_signing_key if options["compromised"] else key_rotation.rotate_signing_key
        try:
            done = turn(AUDIENCES[options["audience"]])
        except DomainError as refusal:
            raise CommandError(refusal.detail) from refusal
        self.stdout.write(f"The new key of {options['audience']} signs from {done.signs_from:%Y-%m-%d %H:%M:%S} UTC.")
        if done.verifies_until:
            self.stdout.write(f"The one before verifies until {done.verifies_until:%Y-%m-%d %H:%M:%S} UTC.")
