"""The hash chain over the audit trail.

Events are written without a link, in the transaction of what they record: a chain there would serialise every action of the
system. A periodic task links committed events a few seconds later, in the order of their commits.
"""

import hashlib
import json
import logging
from collections.abc import Iterable
from datetime import UTC

from django.db import IntegrityError, transaction

from saas.audit.models import AuditEvent, AuditSeal

logger = logging.getLogger(__name__)

GENESIS_DIGEST = "0" * 64  # the predecessor of the first link
BATCH = 1000
REORDER_WINDOW = 10_000  # how many younger events may be linked before one whose transaction took long


def extend_chain() -> int:
    """Link committed events that have no link yet. Return how many. Of two concurrent runs one does it."""
    sealed = 0
    while added := _extend_by_batch():
        sealed += added
    return sealed


def log_chain_head() -> AuditSeal | None:
    """Write the chain's head to the log, which the table's owner cannot rewrite: ``audit_verify --anchor`` compares it."""
    head = AuditSeal.objects.order_by("-number").first()
    if head:
        logger.info("audit_anchor %s", head)
    return head


def link_digest(event: AuditEvent, before: str) -> str:
    """SHA-256 (hex) over the canonical JSON of the event and the digest of the previous link."""
    fields = {
        "id": event.pk,
        "at": event.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": event.actor,
        "act_as": event.act_as,
        "action": event.action,
        "target": event.target,
        "reason": event.reason,
        "address": event.address,
        "request_id": event.request_id,
        "data": event.data,
        "before": before,
    }
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _extend_by_batch() -> int:
    head = AuditSeal.objects.order_by("-number").first()
    newest = AuditSeal.objects.order_by("-event_id").values_list("event_id", flat=True).first() or 0
    events = AuditEvent.objects.unsealed().filter(pk__gt=newest - REORDER_WINDOW).order_by("pk")[:BATCH]
    try:
        with transaction.atomic():
            return len(AuditSeal.objects.bulk_create(_links(head, events)))
    except IntegrityError:  # a concurrent run took these numbers
        return 0


def _links(head: AuditSeal | None, events: Iterable[AuditEvent]) -> list[AuditSeal]:
    number, before = (head.number, head.digest) if head else (0, GENESIS_DIGEST)
    links = []
    for event in events:
        number, before = number + 1, link_digest(event, before)
        links.append(AuditSeal(number=number, event=event, digest=before))
    return links
