"""``manage.py rotate_jwt_key``: replace the key that signs access tokens; valid tokens stay valid."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from saas.accounts.models import Audience
from saas.accounts.sessions import key_rotation
from saas.errors import DomainError

AUDIENCES = {"customers": Audience.CUSTOMER, "staff": Audience.STAFF}


class Command(BaseCommand):
    help = "Publish the next key of JWT_KEY_DIR. It signs after ten minutes; the previous one verifies until its tokens expire."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--audience", choices=AUDIENCES, default="customers")
        parser.add_argument(
            "--compromised",
            action="store_true",
            help="The key may have leaked: replace it at once. Every access token is refused; clients refresh theirs.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        rotate = key_rotation.replace_signing_key if options["compromised"] else key_rotation.rotate_signing_key
        try:
            done = rotate(AUDIENCES[options["audience"]])
        except DomainError as refusal:
            raise CommandError(refusal.detail) from refusal
        self.stdout.write(f"The new key of {options['audience']} signs from {done.signs_from:%Y-%m-%d %H:%M:%S} UTC.")
        if done.verifies_until:
            self.stdout.write(f"The one before verifies until {done.verifies_until:%Y-%m-%d %H:%M:%S} UTC.")
