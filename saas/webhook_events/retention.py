"""How long the rows of the inbox are kept. Events themselves stay.

The payloads of events are what rows of other apps are projected from. Such an app registers which it still needs:

    @payloads_in_use("customer.subscription.")
    def subscriptions_in_use(events, ended_before): return ids of those of the events' objects that have not ended by then
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Q
from django.utils import timezone

from saas.operations.models import RetentionProgress
from saas.operations.retention.rules import DeletionRule, delete_older, delete_when, is_past, keep, register
from saas.webhook_events.models import (
    ReplayBatch,
    WebhookAlert,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEvent,
    WebhookPayload,
    WebhookTally,
)

UNNEEDED_PAYLOADS = timedelta(days=90)  # of events that were ignored or quarantined
ENDED_OBJECT_PAYLOADS = timedelta(days=400)  # all payloads of an object are deleted together
ATTEMPTS = timedelta(days=90)
DELIVERIES = timedelta(days=30)
REPLAYS = timedelta(days=400)

_UNNEEDED = [WebhookEvent.Status.IGNORED, WebhookEvent.Status.QUARANTINED]


class StoredPayload(NamedTuple):
    """A payload, by what its event says about it."""

    event_id: int
    type: str
    status: str
    object_id: str
    customer_id: str
    received_at: datetime


ObjectsInUse = Callable[[Sequence[StoredPayload], datetime], Collection[str]]
_in_use: dict[str, ObjectsInUse] = {}  # by the beginning of the event's type


def payloads_in_use(*prefixes: str) -> Callable[[ObjectsInUse], ObjectsInUse]:
    """Register a function for events whose type begins with one of ``prefixes``; the longest that fits counts.

    It returns the ids of those of the payloads' objects that have not ended before a given time. What no function knows, or
    none needs, is deleted ``ENDED_OBJECT_PAYLOADS`` after it came.
    """

    def register_prefixes(function: ObjectsInUse) -> ObjectsInUse:
        _in_use.update(dict.fromkeys(prefixes, function))
        return function

    return register_prefixes


def projected_prefixes() -> set[str]:
    return set(_in_use)


def delete_payloads(event_ids: Sequence[int], now: datetime) -> int:
    """Delete those of the payloads that nothing needs any more. Return how many went, with the others of their objects."""
    until = now - ENDED_OBJECT_PAYLOADS
    events = WebhookEvent.objects.filter(pk__in=event_ids).exclude(status__in=WebhookEvent.WAITING)
    payloads = [StoredPayload(*row) for row in events.values_list("pk", *StoredPayload._fields[1:])]
    unneeded = {row.event_id for row in payloads if row.status in _UNNEEDED}
    old = [row for row in payloads if row.event_id not in unneeded and row.received_at < until]
    cutoff = now - UNNEEDED_PAYLOADS
    deletable = {row.event_id for row in payloads if row.event_id in unneeded and row.received_at < cutoff}
    deletable |= {row.event_id for row in old if _prefix(row) is None}
    deleted: int = WebhookPayload.objects.filter(pk__in=deletable).delete()[0] if deletable else 0
    return deleted + _delete_ended_objects([row for row in old if _prefix(row) is not None], until)


def _prefix(row: StoredPayload) -> str | None:
    """Return the longest registered event-type prefix that matches; ``None`` if no row is projected from such events."""
    fitting = [prefix for prefix in _in_use if row.type.startswith(prefix)] if row.object_id else []
    return max(fitting, key=len, default=None)


def _delete_ended_objects(old: list[StoredPayload], until: datetime) -> int:
    """Delete all payloads of an object or none: a projection of the rest would differ."""
    ended = {row.object_id for row in old} - set(_objects_in_use(old, until))
    payloads = WebhookPayload.objects.filter(event__object_id__in=ended)
    is_recent = Q(event__received_at__gte=until) | Q(event__status__in=WebhookEvent.WAITING)
    ended.difference_update(payloads.filter(is_recent).values_list("event__object_id", flat=True) if ended else ())
    return WebhookPayload.objects.filter(event__object_id__in=ended).delete()[0] if ended else 0


def _objects_in_use(rows: list[StoredPayload], until: datetime) -> Iterator[str]:
    for prefix, function in _in_use.items():
        if concerned := [row for row in rows if _prefix(row) == prefix]:
            yield from function(concerned, until)


def retention_lag() -> timedelta:
    """For how long rows of the inbox may have been past their time."""
    lags = RetentionProgress.objects.lags(timezone.now())
    tables = (model._meta.db_table for model in (WebhookPayload, WebhookAttempt, WebhookDelivery))
    return max((lags[table] for table in tables if table in lags), default=timedelta())


register(
    DeletionRule(
        WebhookPayload,
        delete_payloads,
        every=timedelta(days=1),  # a pass reads all that are kept
        ordered_by="event__received_at",
        ordered_age=UNNEEDED_PAYLOADS,
    )
)
delete_older(WebhookAttempt, "started_at", ATTEMPTS)
delete_older(WebhookDelivery, "at", DELIVERIES)
delete_when(ReplayBatch, is_past("finished_at", REPLAYS))
keep(WebhookEvent, reason="Events stay: they say what was delivered, and what became of it.")
keep(WebhookTally, reason="One row for each counter.")
keep(WebhookAlert, reason="One row for each kind of alert.")
