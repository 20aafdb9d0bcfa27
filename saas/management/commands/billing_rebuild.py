"""``manage.py billing_rebuild``: project every stored event again, and repair the billing rows that differ."""

import sys
from argparse import ArgumentParser
from typing import Any

from saas.billing.sync.rebuild import rebuild_rows
from saas.management.billing import BillingCommand
from saas.management.terminal import write_each


class Command(BillingCommand):
    help = "Project all stored events again and repair the billing rows that differ."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="Change nothing; exit with 1 if a row differs.")

    def handle(self, *args: Any, **options: Any) -> None:
        differences = rebuild_rows(repair=not options["check"])
        count = write_each(self.stdout, "Projecting all stored events again …", differences)
        self.stdout.write(f"{count} differences")
        if count and options["check"]:
            sys.exit(1)
