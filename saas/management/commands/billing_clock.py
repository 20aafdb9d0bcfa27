"""``manage.py billing_clock advance 31d``: advance the local provider's test clock."""

import re
from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError

from saas.billing import clock
from saas.billing.models import LocalObject
from saas.billing.providers.local import event_delivery, test_clock
from saas.errors import DomainError
from saas.management.billing import BillingCommand

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def _duration(text: str) -> timedelta:
    found = re.fullmatch(r"([0-9]{1,6})([dhms])", text)
    if not found:
        raise ArgumentTypeError("Give a number and a unit: 31d, 12h, 5m, 30s.")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


class Command(BillingCommand):
    help = "Show the local payment provider's test clock, or advance it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("verb", nargs="?", choices=["show", "advance"], default="show")
        parser.add_argument("by", nargs="?", type=_duration, help="How far to advance: 31d, 12h, 5m, 30s.")
        parser.add_argument(
            "--advance", dest="by_option", metavar="BY", type=_duration, help="The same as `advance BY`."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        by = options["by"] or options["by_option"]
        if options["verb"] == "advance" and not by:
            raise CommandError("Say how far: advance 31d.")
        if by:
            try:
                self.stdout.write(f"{test_clock.advance_clock(by)} steps")
            except DomainError as error:
                raise CommandError(error.detail) from error
            while event_delivery.deliver_events():
                pass
            if LocalObject.objects.undelivered().exists():
                self.stdout.write("The webhooks service does not take the events: they take effect in this process.")
                event_delivery.process_undelivered_events()
        self.stdout.write(f"It is {clock.now():%Y-%m-%d %H:%M:%S} UTC for the local provider.")
