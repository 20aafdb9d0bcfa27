"""``manage.py audit_verify``: verify that the audit trail is as it was written. Exits with 1 and prints every fault."""

import sys
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand

from saas.audit import hash_chain, verification
from saas.audit.anchors import Anchor
from saas.audit.models import AuditSeal
from saas.management.terminal import write_each


def _anchor(text: str) -> Anchor:
    try:
        return Anchor.parse(text)
    except ValueError as error:
        raise ArgumentTypeError("Give an anchor as in the log: number:digest:signature.") from error


class Command(BaseCommand):
    help = "Verify the audit trail: its chain, its signatures, and the anchors in AUDIT_ANCHOR_FILE."

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
        if write_each(self.stderr, "Verifying the audit trail …", verification.find_trail_faults(options["anchor"])):
            sys.exit(1)
        self.stdout.write(f"OK: {AuditSeal.objects.count()} events are as they were written.")
        for note in verification.describe_limits():
            self.stdout.write(note)
