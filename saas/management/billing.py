"""The base of the commands about billing."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class BillingCommand(BaseCommand):
    """Refuse to run without ``BILLING``."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        if not settings.BILLING:
            raise CommandError("BILLING is off: nothing is sold here.")
        return super().execute(*args, **options)
