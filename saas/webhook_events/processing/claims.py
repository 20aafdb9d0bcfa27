"""Who works on an event. ``attempts`` is the fencing token: whoever finds another number there was presumed dead.

A claim is committed before the work starts, so a worker that dies leaves its attempt ``running`` behind, and
``mark_lost`` finds it. In a batch the innocent would be blamed for such a death: after one loss an event is claimed
alone, and three lonely deaths make it poison.
"""

import os
import socket
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import Count, Exists, F, OuterRef, Q
from django.db.models.functions import Now

from saas.database.prepared_queries import PreparedQuery, PrimaryKeyIn, binary_cursor
from saas.webhook_events.models import WebhookAttempt, WebhookEvent, WebhookEventQuerySet
from saas.webhook_events.processing import batch_sql

VISIBILITY_TIMEOUT = timedelta(
    seconds=15
)  # how long a claim keeps others away at least: then its worker is presumed dead
BATCH_SIZE = 100
MAX_CRASHES = 3

_RUNNING = WebhookAttempt.objects.filter(event=OuterRef("pk"), outcome=WebhookAttempt.Outcome.RUNNING)
_TRIGGERS = {
    WebhookEvent.Status.QUEUED: WebhookAttempt.Trigger.DELIVERY,
    WebhookEvent.Status.RETRY_SCHEDULED: WebhookAttempt.Trigger.SWEEP,
    WebhookEvent.Status.REPLAY_QUEUED: WebhookAttempt.Trigger.REPLAY,
}


class Claim(NamedTuple):
    """The right to one attempt. ``failures`` is what it was when claimed, and so is the age in the inbox; a replay has none."""

    event_id: int
    attempt: int
    failures: int
    lock_key: str
    type: str = ""
    age_seconds: float | None = None


def claim_event(event_id: int) -> Claim | None:
    """One event alone, if it is due or was never tried; None if it is not, or somebody works on it."""
    is_time = Q(next_attempt_at__lte=Now()) | Q(attempts=0)
    waiting = WebhookEvent.objects.filter(is_time, pk=event_id, status__in=WebhookEvent.WAITING)
    return next(iter(_claim(waiting.not_running(), limit=1, solo=True)), None)


def claim_batch(limit: int = 0) -> list[Claim]:
    """What has been due longest, of those that never killed a worker."""
    limit = limit or BATCH_SIZE
    if connection.vendor == "postgresql":
        return [Claim(*row) for row in batch_sql.claim_due(limit, _worker())]
    return _claim(WebhookEvent.objects.due().filter(losses=0), limit=limit, solo=False)


def claim_crashed() -> list[Claim]:
    """At most one event of those whose worker died before."""
    return _claim(WebhookEvent.objects.due().filter(losses__gt=0), limit=1, solo=True)


@transaction.atomic
def _claim(rows: WebhookEventQuerySet, *, limit: int, solo: bool) -> list[Claim]:
    in_order = rows.order_by("next_attempt_at", "id")
    events = list(in_order.select_for_update(skip_locked=True, of=("self",)).annotate(now=Now())[:limit])
    if not events:
        return []
    WebhookEvent.objects.filter(pk__in=[event.pk for event in events]).update(attempts=F("attempts") + 1)
    WebhookAttempt.objects.bulk_create([_attempt(event, solo=solo) for event in events])
    return [
        Claim(event.pk, event.attempts + 1, event.failures, event.lock_key, event.type, _age(event)) for event in events
    ]


def _age(event: WebhookEvent) -> float | None:
    """By the database's clock."""
    now: datetime = event.now  # type: ignore[attr-defined]  # annotated
    return None if event.replay_count else (now - event.received_at).total_seconds()


def _attempt(event: WebhookEvent, *, solo: bool) -> WebhookAttempt:
    return WebhookAttempt(
        event=event,
        number=event.attempts + 1,
        generation=event.generation,
        trigger=_TRIGGERS[WebhookEvent.Status(event.status)],
        solo=solo,
        worker=_worker(),
    )


def _worker() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"[:100]


def lock_claimed(claim: Claim) -> WebhookEvent | None:
    """The event, locked for this transaction; None if the claim was lost meanwhile."""
    mine = _RUNNING.filter(number=claim.attempt)
    return (
        WebhookEvent.objects.filter(Exists(mine), pk=claim.event_id, attempts=claim.attempt)
        .filter(status__in=WebhookEvent.WAITING)
        .select_related("payload")
        .select_for_update(of=("self",))
        .first()
    )


def lock_claimed_batch(claims: Sequence[Claim]) -> dict[int, WebhookEvent]:
    """By primary key: the events of those claims that were not lost meanwhile, locked for this transaction."""
    attempts = {claim.event_id: claim.attempt for claim in claims}
    rows = [event for event in _CLAIMED.fetch_all(ids=list(attempts)) if event.status in WebhookEvent.WAITING]
    return {event.pk: event for event in rows if event.attempts == attempts[event.pk]}


# By nothing but the key: where little is believed to wait, a condition on the status has everything read that waits. The
# headers, which handlers have no use for, are JSON.
_CLAIMED = PreparedQuery(
    lambda: (
        WebhookEvent.objects.filter(PrimaryKeyIn("ids"))
        .running()
        .select_related("payload")
        .defer("payload__headers")
        .order_by("id")
        .select_for_update(of=("self",))
    ),
    cursor=binary_cursor,
)


def finish_batch(claims: Sequence[Claim], reason: str = "") -> None:
    """Processed; or ignored, for a reason. In the transaction that holds their events: no guard can fail any more, and each
    has one attempt that runs."""
    ids = [claim.event_id for claim in claims]
    outcome = WebhookAttempt.Outcome.IGNORED if reason else WebhookAttempt.Outcome.PROCESSED
    if connection.vendor == "postgresql":
        batch_sql.finish_attempts(ids, [claim.attempt for claim in claims], outcome.value, reason)
        return
    processed = {} if reason else {"processed_at": Now()}
    WebhookEvent.objects.filter(pk__in=ids).update(status=outcome.value, last_error=reason, **processed)
    running = WebhookAttempt.objects.filter(event_id__in=ids, outcome=WebhookAttempt.Outcome.RUNNING)
    running.update(outcome=outcome, finished_at=Now())


@transaction.atomic
def finish_attempt(claim: Claim, outcome: WebhookAttempt.Outcome, *, error: str = "", **changes: object) -> bool:
    """End the attempt and change the event, unless the claim was lost meanwhile; tells whether it was ours."""
    mine = WebhookEvent.objects.filter(pk=claim.event_id, attempts=claim.attempt, status__in=WebhookEvent.WAITING)
    if not mine.filter(Exists(_RUNNING.filter(number=claim.attempt))).update(**changes):
        return False
    WebhookAttempt.objects.filter(event_id=claim.event_id, number=claim.attempt).update(
        outcome=outcome, error=error, finished_at=Now()
    )
    return True


def release_claims(claims: Iterable[Claim]) -> None:
    """Let others have what this worker will not come to."""
    for claim in claims:
        finish_attempt(claim, WebhookAttempt.Outcome.POSTPONED, next_attempt_at=Now())


@transaction.atomic
def mark_lost_attempts() -> int:
    """End every attempt whose worker is presumed dead and make its event due; tells how many.

    A worker that is merely slow holds its event's row locked, and is left alone.
    """
    silent = WebhookAttempt.objects.filter(
        outcome=WebhookAttempt.Outcome.RUNNING, started_at__lt=Now() - VISIBILITY_TIMEOUT
    ).select_related("event")
    attempts = list(silent.select_for_update(skip_locked=True, of=("self", "event")))
    if attempts:
        WebhookAttempt.objects.filter(pk__in=[attempt.pk for attempt in attempts]).update(
            outcome=WebhookAttempt.Outcome.LOST, finished_at=Now()
        )
        _make_due([attempt.event_id for attempt in attempts if attempt.number == attempt.event.attempts])
    return len(attempts)


def _make_due(event_ids: Sequence[int]) -> None:
    waiting = WebhookEvent.objects.filter(pk__in=event_ids, status__in=WebhookEvent.WAITING)
    waiting.update(losses=F("losses") + 1, next_attempt_at=Now())
    waiting.filter(pk__in=_dead_letters(event_ids)).update(
        status=WebhookEvent.Status.FAILED, last_error=f"dead letter: its worker crashed {MAX_CRASHES} times"
    )


def _dead_letters(event_ids: Sequence[int]) -> list[int]:
    lonely_deaths = WebhookAttempt.objects.filter(
        event_id__in=event_ids, solo=True, outcome=WebhookAttempt.Outcome.LOST, generation=F("event__generation")
    )
    counted = lonely_deaths.values("event_id").annotate(deaths=Count("id"))
    return [row["event_id"] for row in counted if row["deaths"] >= MAX_CRASHES]
