"""The chain over the audit trail.

Events are written unchained, in the transaction of what they tell: a chain there would serialise every action of the
system. A sealer chains what was committed, a few seconds later and in whatever order it was committed.
"""

import hashlib
import json
import logging
from collections.abc import Iterable
from datetime import UTC

from django.db import IntegrityError, transaction

from saas.audit.models import AuditEvent, AuditSeal

logger = logging.getLogger(__name__)

GENESIS_DIGEST = "0" * 64  # what the first link continues
BATCH = 1000
REORDER_WINDOW = 10_000  # how many younger events may be sealed before one whose transaction took long


def extend_chain() -> int:
    """Chain what is committed and not sealed yet; tells how many. If two seal at once, one of them does it."""
    sealed = 0
    while added := _extend_by_batch():
        sealed += added
    return sealed


def log_chain_head() -> AuditSeal | None:
    """Write the chain's head to the log, which its owner cannot rewrite with the table: ``audit_verify --anchor``."""
    head = AuditSeal.objects.order_by("-number").first()
    if head:
        logger.info("audit_anchor %s", head)
    return head


def link_digest(event: AuditEvent, before: str) -> str:
    """SHA-256 (hex) over the canonical JSON of the event and the digest of the link before."""
    told = {
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
    canonical = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _extend_by_batch() -> int:
    head = AuditSeal.objects.order_by("-number").first()
    newest = AuditSeal.objects.order_by("-event_id").values_list("event_id", flat=True).first() or 0
    events = AuditEvent.objects.unsealed().filter(pk__gt=newest - REORDER_WINDOW).order_by("pk")[:BATCH]
    try:
        with transaction.atomic():
            return len(AuditSeal.objects.bulk_create(_links(head, events)))
    except IntegrityError:  # somebody else took these numbers
        return 0


def _links(head: AuditSeal | None, events: Iterable[AuditEvent]) -> list[AuditSeal]:
    number, before = (head.number, head.digest) if head else (0, GENESIS_DIGEST)
    links = []
    for event in events:
        number, before = number + 1, link_digest(event, before)
        links.append(AuditSeal(number=number, event=event, digest=before))
    return links
