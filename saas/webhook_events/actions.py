"""Writes that are asked for: storing deliveries, recording refusals, replaying."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple

from django.conf import settings
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from saas.audit.actions import record
from saas.background_tasks import notify_workers
from saas.errors import DomainError, NotFound
from saas.webhook_events import event_storage, replays, signatures
from saas.webhook_events.envelope import Envelope, read_event
from saas.webhook_events.event_storage import IncomingEvent
from saas.webhook_events.metrics import DUPLICATES, RECEIVED, REJECTED
from saas.webhook_events.models import ReplayBatch, WebhookDelivery, WebhookEvent, WebhookPayload
from saas.webhook_events.monitoring import alerts
from saas.webhook_events.tasks import notifier, process_due_events

logger = logging.getLogger(__name__)

PROCESSING_DELAY = timedelta(seconds=5)
_SAMPLES_PER_SECOND = 5  # of refused deliveries, per process: a flood must not fill the table


class InvalidSignature(DomainError):
    code, title, status = "invalid_signature", "Invalid webhook signature", 400


class UnreadableEvent(DomainError):
    code, title, status = "unreadable_event", "The body is not an event.", 400


class PayloadExpired(DomainError):
    code, title = "payload_expired", "This event's payload was deleted by retention; it cannot be replayed."  # 409


class ReplayRunning(DomainError):
    code, title = "replay_running", "A bulk replay is running already. Wait for it, or cancel it."  # 409


class ReplayEnded(DomainError):
    code, title = "replay_ended", "This bulk replay has ended already."  # 409


class Receipt(NamedTuple):
    """What became of a delivery. ``attempts`` and ``replay_count`` are the event's, where it was there already."""

    event_id: str
    is_new: bool
    attempts: int = 0
    replay_count: int = 0


def accept_delivery(body: bytes, *, signature: str | None, headers: Mapping[str, str], address: str) -> Receipt:
    """Verify one delivery and store it. ``signature`` is the header, None if there was none.

    Raises ``InvalidSignature``; ``UnreadableEvent`` for an unsigned body that is no event.
    """
    is_unsigned = signature is None and settings.WEBHOOKS_ALLOW_UNSIGNED
    if not is_unsigned:
        try:
            verify_signature(signature or "", body)
        except signatures.BadSignature as error:
            record_refused_delivery(body, reason=error.reason, address=address)
            raise InvalidSignature from error
    delivery = IncomingEvent.parse(body, headers=headers, address=address)
    if is_unsigned and delivery.envelope is None:
        raise UnreadableEvent(delivery.fault)
    return store_deliveries([delivery])[0]


def verify_signature(signature: str, body: bytes) -> None:
    """Raise ``BadSignature`` unless the provider signed ``body`` just now. Records nothing: ``accept_delivery`` does."""
    signatures.verify(
        signature,
        body,
        secrets=settings.STRIPE_WEBHOOK_SECRETS,
        tolerance_seconds=signatures.TOLERANCE_SECONDS,
        now=time.time(),
    )


def store_deliveries(deliveries: Sequence[IncomingEvent]) -> list[Receipt]:
    """Store verified deliveries in one round trip. Return a receipt for each, in their order.

    When this returns, the events are committed (unless the caller holds a transaction open) and workers are being notified.
    """
    stored = event_storage.insert_events(new_events(deliveries))
    are_new = mark_new(deliveries, stored)
    pairs = list(zip(deliveries, are_new, strict=True))
    repeats = [delivery for delivery, is_new in pairs if not is_new]
    known = _record_repeats(repeats) if repeats else {}
    if stored:
        _count_new([delivery for delivery, is_new in pairs if is_new])
        transaction.on_commit(partial(notifier.notify, min(stored.values())), robust=True)
    return [
        Receipt(delivery.external_id, True)
        if is_new
        else Receipt(delivery.external_id, False, *known[delivery.external_id])
        for delivery, is_new in pairs
    ]


def new_events(deliveries: Sequence[IncomingEvent]) -> list[IncomingEvent]:
    """The first delivery of each event."""
    firsts: dict[str, IncomingEvent] = {}
    for delivery in deliveries:
        firsts.setdefault(delivery.external_id, delivery)
    return list(firsts.values())


def mark_new(deliveries: Sequence[IncomingEvent], stored: Mapping[str, int]) -> list[bool]:
    """Return, for each delivery, whether it is the first of a newly stored event. ``stored`` has the new events."""
    unseen = set(stored)
    are_new = []
    for delivery in deliveries:
        are_new.append(delivery.external_id in unseen)
        unseen.discard(delivery.external_id)
    return are_new


def record_committed(deliveries: Sequence[IncomingEvent], stored: Mapping[str, int]) -> None:
    """Count events that are new and committed, and notify workers; without a query."""
    _count_new(deliveries)
    notifier.notify(min(stored.values()))


def _count_new(deliveries: Sequence[IncomingEvent]) -> None:
    RECEIVED.labels(WebhookEvent.Source.DELIVERY).inc(len(deliveries))
    for delivery in deliveries:
        if delivery.envelope is None:
            alerts.send_alert("quarantined", "signed bytes came that are no event", reason=delivery.fault)


@transaction.atomic
def _record_repeats(deliveries: Sequence[IncomingEvent]) -> dict[str, tuple[int, int]]:
    """Log deliveries of known events. Return the events' attempts and replay counts, by external id.

    An event whose id comes again with other bytes is flagged, never refused.
    """
    DUPLICATES.inc(len(deliveries))
    events = WebhookEvent.objects.by_external_ids({delivery.external_id for delivery in deliveries})
    known = {event.external_id: event for event in events}
    rows = [
        _delivery_row(delivery.body, delivery.address, "duplicate", known[delivery.external_id])
        for delivery in deliveries
    ]
    WebhookDelivery.objects.bulk_create(rows)
    conflicts = [row.event.pk for row in rows if row.event and row.body_sha256 != row.event.body_sha256]
    if WebhookEvent.objects.filter(pk__in=conflicts, body_conflict=False).update(body_conflict=True):
        logger.warning("webhook_body_conflict", extra={"events": conflicts})
    return {external_id: (event.attempts, event.replay_count) for external_id, event in known.items()}


def _delivery_row(body: bytes, address: str, outcome: str, event: WebhookEvent | None = None) -> WebhookDelivery:
    return WebhookDelivery(
        outcome=outcome, event=event, address=address, body_sha256=sha256(body).hexdigest(), body_size=len(body)
    )


class Sampler:
    """Lets ``per_second`` items pass in each second."""

    def __init__(self, per_second: int) -> None:
        self.per_second = per_second
        self.second, self.passed = 0, 0

    def passes(self) -> bool:
        if (second := int(time.time())) != self.second:
            self.second, self.passed = second, 0
        self.passed += 1
        return self.passed <= self.per_second


_refusals = Sampler(_SAMPLES_PER_SECOND)
_REFUSED_AS = {
    "malformed": WebhookDelivery.Outcome.MALFORMED,
    "no_match": WebhookDelivery.Outcome.BAD_SIGNATURE,
    "stale": WebhookDelivery.Outcome.STALE,
}


def record_refused_delivery(body: bytes, *, reason: str, address: str) -> None:
    """Count a refused delivery, and store a sample of them. An unavailable database does not change the refusal."""
    REJECTED.labels(reason).inc()
    if not _refusals.passes():
        return
    try:
        _delivery_row(body, address, _REFUSED_AS[reason]).save()
    except DatabaseError:
        logger.warning("refused_delivery_not_noted", exc_info=True)


def append_event(payload: dict[str, Any], *, source: WebhookEvent.Source) -> WebhookEvent:
    """Store an event that was not delivered, and return its row: see ``append_events``."""
    append_events([payload], source=source)
    return WebhookEvent.objects.by_external_ids([payload["id"]]).get()


@transaction.atomic
def append_events(payloads: Sequence[dict[str, Any]], *, source: WebhookEvent.Source) -> None:
    """Store events that were not delivered: actions of the local provider, or objects that were fetched.

    ``payloads`` are shaped like Stripe events, with distinct ids. Joins the caller's transaction. An id that is known changes
    nothing. Workers are not notified: call ``event_worker.process_events`` after the commit, or leave the events to the sweep,
    which waits for ``PROCESSING_DELAY``. Raises ``Unreadable``.
    """
    events = []
    for payload in payloads:
        body = json.dumps(payload, separators=(",", ":")).encode()
        envelope = Envelope.from_event(read_event(body))
        events.append(IncomingEvent(body, envelope, source=source, processing_delay=PROCESSING_DELAY))
    if stored := event_storage.insert_events(events):
        RECEIVED.labels(source).inc(len(stored))


def set_attention(external_id: str, reason: str) -> None:
    """Mark an event as one that needs attention, with the ``reason``; without one it needs none. In the caller's transaction."""
    WebhookEvent.objects.by_external_ids([external_id]).update(attention=reason[:500])


@transaction.atomic
def replay_event(external_id: str, *, by: str, reason: str = "") -> WebhookEvent:
    """Process an event once more, with its original bytes. ``by`` is who asks. Raises ``NotFound``, ``PayloadExpired``.

    One that is waiting is processed once more, too. Handlers apply their guards again: an old event overwrites nothing newer.
    """
    event = WebhookEvent.objects.by_external_ids([external_id]).first()
    if event is None:
        raise NotFound("Webhook event not found")
    if not WebhookPayload.objects.filter(event=event).exists():
        raise PayloadExpired
    replays.requeue(WebhookEvent.objects.filter(pk=event.pk))
    record("webhook_event.replayed", actor=by, target=event.external_id[:64], reason=reason, event=event.external_id)
    notify_workers(process_due_events, event.pk)
    event.refresh_from_db()
    return event


def start_bulk_replay(conditions: Mapping[str, Any], *, by: str, reason: str = "") -> ReplayBatch:
    """Process every event once more that matches now, in the background. Raises ``ReplayRunning``."""
    try:
        with transaction.atomic():
            newest = WebhookEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
            batch = ReplayBatch.objects.create(
                conditions=replays.serialize_conditions(conditions),
                last_event_id=newest,
                matched=replays.preview_replay(conditions).matching,
                created_by=by,
                reason=reason,
            )
            record("replay_batch.started", actor=by, target=batch.pk, reason=reason, matched=batch.matched)
            notify_workers(process_due_events, newest)
    except IntegrityError as error:
        raise ReplayRunning from error
    return batch


@transaction.atomic
def cancel_bulk_replay(batch_id: str, *, by: str) -> ReplayBatch:
    """Stop a bulk replay. What it has requeued is still processed. Raises ``NotFound``, ``ReplayEnded``."""
    batch = ReplayBatch.objects.filter(pk=batch_id).first()
    if batch is None:
        raise NotFound
    running = ReplayBatch.objects.filter(pk=batch_id, state=ReplayBatch.State.RUNNING)
    if not running.update(state=ReplayBatch.State.CANCELED, finished_at=timezone.now()):
        raise ReplayEnded
    record("replay_batch.canceled", actor=by, target=batch_id)
    batch.refresh_from_db()
    return batch
