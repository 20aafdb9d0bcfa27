"""``manage.py audit_verify``: verify that the audit trail is as it was written. Exits with 1 and prints every fault."""

import sys
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand

from saas.audit import hash_chain, verification
from saas.audit.models import AuditSeal


def _anchor(text: str) -> verification.Anchor:
    try:
        return verification.Anchor.parse(text)
    except ValueError as error:
        raise ArgumentTypeError("Give an anchor as in the log: number:digest.") from error


class Command(BaseCommand):
    help = "Verify the chain over the audit trail."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--anchor",
            action="append",
            default=[],
            type=_anchor,
            help="A line's `audit_anchor` from the log; again for more.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        hash_chain.extend_chain()
        found = False
        for fault in verification.find_faults(options["anchor"]):
            found = True
            self.stderr.write(fault)
        if found:
            sys.exit(1)
        self.stdout.write(f"OK: {AuditSeal.objects.count()} events are as they were written.")
