"""Every write that somebody asks for: taking events in, refusing deliveries, replaying."""

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
from saas.webhook_events.deliveries import Delivery
from saas.webhook_events.envelope import Envelope, read_event
from saas.webhook_events.metrics import DUPLICATES, RECEIVED, REJECTED
from saas.webhook_events.models import ReplayBatch, WebhookDelivery, WebhookEvent, WebhookPayload
from saas.webhook_events.monitoring import alerts
from saas.webhook_events.tasks import process_due_events
from saas.webhook_events.worker_notifier import notifier

logger = logging.getLogger(__name__)

TOLERANCE_SECONDS = 300
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
    if signature is None and settings.WEBHOOKS_ALLOW_UNSIGNED:
        delivery = Delivery.parse(body, headers=headers, address=address)
        if delivery.envelope is None:
            raise UnreadableEvent(delivery.fault)
    else:
        _require_signature(signature, body, address)
        delivery = Delivery.parse(body, headers=headers, address=address)
    return store_deliveries([delivery])[0]


def _require_signature(header: str | None, body: bytes, address: str) -> None:
    try:
        verify_signature(header or "", body)
    except signatures.BadSignature as error:
        record_refusal(body, reason=error.reason, address=address)
        raise InvalidSignature from error


def verify_signature(signature: str, body: bytes) -> None:
    """Raise ``BadSignature`` unless the provider signed ``body`` just now. Notes nothing: ``admit`` does."""
    signatures.verify(
        signature,
        body,
        secrets=settings.STRIPE_WEBHOOK_SECRETS,
        tolerance_seconds=TOLERANCE_SECONDS,
        now=time.time(),
    )


def store_deliveries(deliveries: Sequence[Delivery]) -> list[Receipt]:
    """Store verified deliveries, one or many, in one round trip; a receipt for each, in their order.

    When this returns the events are committed (unless the caller holds a transaction open), and a worker is being told.
    """
    return record_stored(deliveries, event_storage.insert_events(new_events(deliveries)))


def new_events(deliveries: Sequence[Delivery]) -> list[event_storage.NewEvent]:
    """What ``receive`` inserts: of several deliveries of one event the first one."""
    firsts: dict[str, Delivery] = {}
    for delivery in deliveries:
        firsts.setdefault(delivery.external_id, delivery)
    return [delivery.new_event() for delivery in firsts.values()]


def record_stored(deliveries: Sequence[Delivery], stored: Mapping[str, int]) -> list[Receipt]:
    """What ``receive`` does after the insert: ``stored`` are the primary keys of those that were not there yet."""
    unseen = set(stored)
    new = [_is_first(delivery, unseen) for delivery in deliveries]
    repeats = [delivery for delivery, is_new in zip(deliveries, new, strict=True) if not is_new]
    known = _record_repeats(repeats) if repeats else {}
    if stored:
        _announce([delivery for delivery, is_new in zip(deliveries, new, strict=True) if is_new])
        transaction.on_commit(partial(notifier.notify, min(stored.values())), robust=True)
    return [_receipt(delivery, known, is_new=is_new) for delivery, is_new in zip(deliveries, new, strict=True)]


def record_committed(deliveries: Sequence[Delivery], stored: Mapping[str, int]) -> None:
    """What ``receive`` does after the insert, without a query: for events that were all new, and are committed."""
    _announce(deliveries)
    notifier.notify(min(stored.values()))


def _is_first(delivery: Delivery, unseen: set[str]) -> bool:
    is_first = delivery.external_id in unseen
    unseen.discard(delivery.external_id)
    return is_first


def _receipt(delivery: Delivery, known: Mapping[str, WebhookEvent], *, is_new: bool) -> Receipt:
    if is_new:
        return Receipt(delivery.external_id, True)
    event = known[delivery.external_id]
    return Receipt(event.external_id, False, event.attempts, event.replay_count)


@transaction.atomic
def _record_repeats(deliveries: Sequence[Delivery]) -> dict[str, WebhookEvent]:
    """Log deliveries of events that were there already; the same id with other bytes is flagged, never refused."""
    DUPLICATES.inc(len(deliveries))
    ids = {delivery.external_id for delivery in deliveries}
    known = {row.external_id: row for row in WebhookEvent.objects.by_external_ids(ids)}
    rows = [
        _delivery_row(delivery.body, delivery.address, "duplicate", known[delivery.external_id])
        for delivery in deliveries
    ]
    WebhookDelivery.objects.bulk_create(rows)
    conflicts = [row.event.pk for row in rows if row.event and row.body_sha256 != row.event.body_sha256]
    if WebhookEvent.objects.filter(pk__in=conflicts, body_conflict=False).update(body_conflict=True):
        logger.warning("webhook_body_conflict", extra={"events": conflicts})
    return known


def _announce(deliveries: Sequence[Delivery]) -> None:
    RECEIVED.labels(WebhookEvent.Source.DELIVERY).inc(len(deliveries))
    for delivery in deliveries:
        if delivery.envelope is None:
            alerts.send_alert("quarantined", "signed bytes came that are no event", reason=delivery.fault)


def _delivery_row(body: bytes, address: str, outcome: str, event: WebhookEvent | None = None) -> WebhookDelivery:
    return WebhookDelivery(
        outcome=outcome, event=event, address=address, body_sha256=sha256(body).hexdigest(), body_size=len(body)
    )


class Sampler:
    """Lets ``per_second`` pass in each second."""

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


def record_refusal(body: bytes, *, reason: str, address: str) -> None:
    """Count a refused delivery and keep a sample of them. A database that is away does not change the refusal."""
    REJECTED.labels(reason).inc()
    if not _refusals.passes():
        return
    try:
        _delivery_row(body, address, _REFUSED_AS[reason]).save()
    except DatabaseError:
        logger.warning("refused_delivery_not_noted", exc_info=True)


@transaction.atomic
def append_event(payload: dict[str, Any], *, source: WebhookEvent.Source) -> WebhookEvent:
    """Store an event that did not come by delivery: what the local provider did, or what a fetch brought.

    ``payload`` is shaped like a Stripe event. In the caller's transaction; an id that is there already changes nothing
    and brings the stored row. No worker is told: call ``processing.process(event.pk)`` after the commit, or leave it to
    the sweep, which keeps its hands off for a few seconds. Raises ``Unreadable``.
    """
    body = json.dumps(payload, separators=(",", ":")).encode()
    envelope = Envelope.from_event(read_event(body))
    row = event_storage.NewEvent(
        envelope.id, body, {}, source, WebhookEvent.Status.QUEUED, envelope=envelope, processing_delay=PROCESSING_DELAY
    )
    if event_storage.insert_events([row]):
        RECEIVED.labels(source).inc()
    return WebhookEvent.objects.by_external_ids([envelope.id]).get()


@transaction.atomic
def replay_event(external_id: str, *, by: str, reason: str = "") -> WebhookEvent:
    """Have an event run once more, with its original bytes. ``by`` is who asks. Raises ``NotFound``, ``PayloadExpired``.

    One that waits already runs once more, too. Handlers meet their guards again, so an old event regresses nothing.
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
    """Have every matching event that is there now run once more, in the background. Raises ``ReplayRunning``."""
    try:
        return _start_batch(conditions, by, reason)
    except IntegrityError as error:
        raise ReplayRunning from error


@transaction.atomic
def _start_batch(conditions: Mapping[str, Any], by: str, reason: str) -> ReplayBatch:
    newest = WebhookEvent.objects.order_by("-pk").values_list("pk", flat=True).first()
    batch = ReplayBatch.objects.create(
        conditions=replays.serialize_conditions(conditions),
        last_event_id=newest or 0,
        matched=replays.preview_replay(conditions).matching,
        created_by=by,
        reason=reason,
    )
    record("replay_batch.started", actor=by, target=batch.pk, reason=reason, matched=batch.matched)
    notify_workers(process_due_events, newest or 0)
    return batch


@transaction.atomic
def cancel_bulk_replay(batch_id: str, *, by: str) -> ReplayBatch:
    """Stop a bulk replay: what it has requeued runs, nothing more follows. Raises ``NotFound``, ``ReplayEnded``."""
    batch = ReplayBatch.objects.filter(pk=batch_id).first()
    if batch is None:
        raise NotFound
    running = ReplayBatch.objects.filter(pk=batch_id, state=ReplayBatch.State.RUNNING)
    if not running.update(state=ReplayBatch.State.CANCELED, finished_at=timezone.now()):
        raise ReplayEnded
    record("replay_batch.canceled", actor=by, target=batch_id)
    batch.refresh_from_db()
    return batch
