"""The hash chain over the audit trail.

Events are written without a link, in the transaction of what they record: a chain there would serialise every action of the
system. A periodic task links committed events a few seconds later, in the order of their commits.
"""

import hashlib
import logging
from collections.abc import Iterable
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from saas.audit.anchors import Anchor, append_to_file
from saas.audit.models import AuditEvent, AuditSeal
from saas.audit.signatures import canonical_json, event_content, format_moment, sign_seal
from saas.audit.trail_start import find_start

logger = logging.getLogger(__name__)

BATCH = 1000
REORDER_WINDOW = 10_000  # how many younger events may be linked before one whose transaction took long


def extend_chain() -> int:
    """Link committed events that have no link yet, and publish the new head. Return how many. Of two concurrent runs one
    does it."""
    sealed = 0
    while added := _extend_by_batch():
        sealed += added
        log_chain_head()
    return sealed


def log_chain_head() -> AuditSeal | None:
    """Write the chain's head to the log and the file of anchors, which the tables' owner cannot rewrite. Return it."""
    head = AuditSeal.objects.order_by("-number").first()
    if head:
        anchor = Anchor.of_seal(head)
        logger.info("audit_anchor %s", anchor)
        append_to_file(anchor)
    return head


def link_digest(event: AuditEvent, before: str) -> str:
    """SHA-256 (hex) over the canonical JSON of the event and the digest of the previous link."""
    content = _signed_content(event) if event.signature else _unsigned_content(event)
    return hashlib.sha256(canonical_json({**content, "before": before})).hexdigest()


def _signed_content(event: AuditEvent) -> dict[str, Any]:
    return {**event_content(event), "id": event.pk, "signature": event.signature}


def _unsigned_content(event: AuditEvent) -> dict[str, Any]:
    """Of an event that was written before there were signatures."""
    return {
        "id": event.pk,
        "at": format_moment(event.at),
        "actor": event.actor,
        "act_as": event.act_as,
        "action": event.action,
        "target": event.target,
        "reason": event.plain_reason,
        "address": event.plain_address,
        "request_id": event.request_id,
        "data": event.data,
    }


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
    before_first = head or find_start().link  # all of it may have been retired
    number, before = before_first.number, before_first.digest
    links = []
    for event in events:
        number, before = number + 1, link_digest(event, before)
        link = AuditSeal(number=number, event=event, digest=before, sealed_at=timezone.now())
        link.signature = sign_seal(link)
        links.append(link)
    return links
