"""Who works on an event, and for how long. ``attempts`` is the fencing token: a worker that finds another number there has
lost its claim.

A claim is committed before the work starts. A worker that dies leaves its attempt ``running``; ``mark_lost_attempts`` finds
it and counts a crash. In a batch the crash may be another event's fault: after one crash an event is claimed alone, and after
``MAX_CRASHES`` crashes alone it is a dead letter (status ``failed``).
"""

import json
import os
import socket
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import Count, Exists, F, OuterRef, Q
from django.db.models.functions import Now

from saas.database.prepared_queries import PreparedQuery, PrimaryKeyIn, binary_cursor, postgres_array
from saas.webhook_events.models import WebhookAttempt, WebhookEvent, WebhookEventQuerySet

VISIBILITY_TIMEOUT = timedelta(seconds=15)  # after this a worker that has not finished its attempt is presumed dead
BATCH_SIZE = 100
MAX_CRASHES = 3

_RUNNING = WebhookAttempt.objects.filter(event=OuterRef("pk"), outcome=WebhookAttempt.Outcome.RUNNING)
_TRIGGERS = {
    WebhookEvent.Status.QUEUED: WebhookAttempt.Trigger.DELIVERY,
    WebhookEvent.Status.RETRY_SCHEDULED: WebhookAttempt.Trigger.SWEEP,
    WebhookEvent.Status.REPLAY_QUEUED: WebhookAttempt.Trigger.REPLAY,
}


class Claim(NamedTuple):
    """The right to one attempt. ``failures`` is the event's count when it was claimed; ``age_seconds`` is the time since its
    arrival, None for a replay."""

    event_id: int
    attempt: int
    failures: int
    lock_key: str
    type: str = ""
    age_seconds: float | None = None


def claim_event(event_id: int) -> Claim | None:
    """Claim one event, if it is due or was never tried; None if it is not, or another worker has it."""
    return next(iter(_claim(_claimable([event_id]), limit=1, solo=True)), None)


def claim_events(event_ids: Sequence[int]) -> list[Claim]:
    """Claim those of these events that are due or were never tried, and whose worker has not crashed; a batch at most."""
    return _claim(_claimable(event_ids).filter(crash_count=0), limit=BATCH_SIZE, solo=False)


def _claimable(event_ids: Sequence[int]) -> WebhookEventQuerySet:
    is_time = Q(next_attempt_at__lte=Now()) | Q(attempts=0)
    return WebhookEvent.objects.filter(is_time, pk__in=event_ids, status__in=WebhookEvent.WAITING).not_running()


def claim_batch(limit: int = 0) -> list[Claim]:
    """Claim the events without crashes that have been due longest."""
    limit = limit or BATCH_SIZE
    if connection.vendor != "postgresql":
        return _claim(WebhookEvent.objects.due().filter(crash_count=0), limit=limit, solo=False)
    with connection.cursor() as cursor:
        cursor.execute(CLAIM_SQL, {"limit": limit, "worker": _worker()})
        return [Claim(*row) for row in cursor.fetchall()]


def claim_crashed() -> list[Claim]:
    """Claim at most one event whose worker crashed before."""
    return _claim(WebhookEvent.objects.due().filter(crash_count__gt=0), limit=1, solo=True)


@transaction.atomic
def _claim(rows: WebhookEventQuerySet, *, limit: int, solo: bool) -> list[Claim]:
    in_order = rows.order_by("next_attempt_at", "id")
    events = list(in_order.select_for_update(skip_locked=True, of=("self",)).annotate(now=Now())[:limit])
    if not events:
        return []
    WebhookEvent.objects.filter(pk__in=[event.pk for event in events]).update(attempts=F("attempts") + 1)
    claimed, attempts = [], []
    for event in events:
        number = event.attempts + 1
        age = None if event.replay_count else (event.now - event.received_at).total_seconds()  # type: ignore[attr-defined]
        claimed.append(Claim(event.pk, number, event.failures, event.lock_key, event.type, age))
        trigger = _TRIGGERS[WebhookEvent.Status(event.status)]
        attempts.append(
            WebhookAttempt(
                event=event, number=number, generation=event.generation, trigger=trigger, solo=solo, worker=_worker()
            )
        )
    WebhookAttempt.objects.bulk_create(attempts)
    return claimed


# One statement, in autocommit. It has one text for any number of events. It walks along the index of due events in one order
# that the index has, and stops at the limit. The newest attempt is looked up by its number (an anti-join was planned for a
# handful of rows and took a second among thousands). A claim changes no indexed column, so no index grows.
# PostgreSQL evaluates a row that another claim has just changed again as it is now, but everything else as it was when the
# statement began: that other claim's attempt is invisible, so the number is compared with the one of the statement's start.
# Planned each time: a plan that was made while few events were waiting, and kept, would read the whole table with many.
# ``losses`` is the column of ``crash_count``.
CLAIM_SQL = """
WITH due AS (
    SELECT id, next_attempt_at FROM webhook_events_webhookevent AS event
    WHERE status IN ('queued', 'retry_scheduled', 'replay_queued') AND next_attempt_at <= statement_timestamp()
        AND losses = 0 AND (attempts = 0 OR coalesce((
            SELECT attempt.outcome FROM webhook_events_webhookattempt AS attempt
            WHERE attempt.event_id = event.id AND attempt.number = event.attempts
        ), '') <> 'running' AND attempts = (
            SELECT seen.attempts FROM webhook_events_webhookevent AS seen WHERE seen.id = event.id
        ))
    ORDER BY next_attempt_at LIMIT %(limit)s
    FOR UPDATE OF event SKIP LOCKED
),
claimed AS (
    UPDATE webhook_events_webhookevent AS event SET attempts = attempts + 1
    FROM due WHERE event.id = due.id
    RETURNING event.id, attempts, generation, status, failures, type, customer_id, object_id, external_id, replay_count,
        received_at, event.next_attempt_at
),
noted AS (
    INSERT INTO webhook_events_webhookattempt
        (event_id, number, generation, trigger, solo, worker, started_at, outcome, error)
    SELECT id, attempts, generation,
        CASE status WHEN 'queued' THEN 'delivery' WHEN 'retry_scheduled' THEN 'sweep' ELSE 'replay' END,
        false, %(worker)s, statement_timestamp(), 'running', ''
    FROM claimed
)
SELECT id, attempts, failures, coalesce(nullif(customer_id, ''), nullif(object_id, ''), external_id), type,
    CASE replay_count WHEN 0 THEN extract(epoch FROM statement_timestamp() - received_at)::float END
FROM claimed ORDER BY next_attempt_at, id
"""


def _worker() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"[:100]


def lock_claimed(claim: Claim) -> WebhookEvent | None:
    """Return the event, locked for this transaction; None if the claim was lost meanwhile."""
    mine = _RUNNING.filter(number=claim.attempt)
    return (
        WebhookEvent.objects.filter(Exists(mine), pk=claim.event_id, attempts=claim.attempt)
        .filter(status__in=WebhookEvent.WAITING)
        .select_related("payload")
        .select_for_update(of=("self",))
        .first()
    )


def lock_claimed_batch(claims: Sequence[Claim]) -> dict[int, WebhookEvent]:
    """Return events by primary key, locked for this transaction, without those whose claim was lost meanwhile."""
    attempts = {claim.event_id: claim.attempt for claim in claims}
    rows = [event for event in _CLAIMED.fetch_all(ids=list(attempts)) if event.status in WebhookEvent.WAITING]
    return {event.pk: event for event in rows if event.attempts == attempts[event.pk]}


# Selects by primary key only: with a condition on the status, PostgreSQL reads all waiting events where it believes that they
# are few. Handlers do not use the headers, which are JSON.
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


class LockUnavailable(Exception):
    """Another worker is processing an event of this customer."""


def acquire_customer_lock(lock_key: str) -> None:
    """Hold the lock until the transaction ends, or raise ``LockUnavailable``.

    One effect at a time for a customer: handlers that write invoice, subscription and customer cannot deadlock.
    """
    if not acquire_customer_locks([lock_key]):
        raise LockUnavailable


def acquire_customer_locks(lock_keys: Collection[str]) -> set[str]:
    """Hold those that are free until the transaction ends; return them. SQLite has one writer and needs none."""
    if connection.vendor != "postgresql":
        return set(lock_keys)
    # "webhook lane" is what workers of other releases lock, too.
    query = """
        SELECT lock_key FROM json_array_elements_text(%s::json) AS lock_key
        WHERE pg_try_advisory_xact_lock(hashtextextended('webhook lane ' || lock_key, 0))
    """
    with connection.cursor() as cursor:
        cursor.execute(query, [json.dumps(list(lock_keys))])
        return {lock_key for (lock_key,) in cursor.fetchall()}


_FINISH_SQL = """
WITH ended AS (
    UPDATE webhook_events_webhookattempt AS attempt SET outcome = %(outcome)s, finished_at = statement_timestamp()
    FROM unnest(%(event_ids)s::bigint[], %(numbers)s::integer[]) AS claim (event_id, number)
    WHERE attempt.event_id = claim.event_id AND attempt.number = claim.number
)
UPDATE webhook_events_webhookevent SET status = %(outcome)s, last_error = %(reason)s,
    processed_at = CASE %(outcome)s WHEN 'processed' THEN statement_timestamp() ELSE processed_at END
WHERE id = ANY(%(event_ids)s::bigint[])
"""


def finish_batch(claims: Sequence[Claim], reason: str = "") -> None:
    """Mark events and attempts as processed, or as ignored for a ``reason``, in the transaction that holds their locks."""
    ids = [claim.event_id for claim in claims]
    outcome = WebhookAttempt.Outcome.IGNORED if reason else WebhookAttempt.Outcome.PROCESSED
    if connection.vendor == "postgresql":
        arrays = {"event_ids": postgres_array(ids), "numbers": postgres_array([claim.attempt for claim in claims])}
        with connection.cursor() as cursor:
            cursor.execute(_FINISH_SQL, {**arrays, "outcome": outcome.value, "reason": reason})
        return
    processed = {} if reason else {"processed_at": Now()}
    WebhookEvent.objects.filter(pk__in=ids).update(status=outcome.value, last_error=reason, **processed)
    running = WebhookAttempt.objects.filter(event_id__in=ids, outcome=WebhookAttempt.Outcome.RUNNING)
    running.update(outcome=outcome, finished_at=Now())


@transaction.atomic
def finish_attempt(claim: Claim, outcome: WebhookAttempt.Outcome, *, error: str = "", **changes: object) -> bool:
    """End the attempt and change the event. Return False, and change nothing, if the claim was lost meanwhile."""
    mine = WebhookEvent.objects.filter(pk=claim.event_id, attempts=claim.attempt, status__in=WebhookEvent.WAITING)
    if not mine.filter(Exists(_RUNNING.filter(number=claim.attempt))).update(**changes):
        return False
    WebhookAttempt.objects.filter(event_id=claim.event_id, number=claim.attempt).update(
        outcome=outcome, error=error, finished_at=Now()
    )
    return True


def release_claims(claims: Iterable[Claim]) -> None:
    """Make events due again that this worker will not get to."""
    for claim in claims:
        finish_attempt(claim, WebhookAttempt.Outcome.POSTPONED, next_attempt_at=Now())


@transaction.atomic
def mark_lost_attempts() -> int:
    """End every attempt whose worker is presumed dead, count the crash and make the event due, or a dead letter after
    ``MAX_CRASHES`` alone. Return how many attempts.

    A worker that is merely slow holds its event's row locked, and is left alone.
    """
    silent = WebhookAttempt.objects.filter(
        outcome=WebhookAttempt.Outcome.RUNNING, started_at__lt=Now() - VISIBILITY_TIMEOUT
    ).select_related("event")
    attempts = list(silent.select_for_update(skip_locked=True, of=("self", "event")))
    if not attempts:
        return 0
    WebhookAttempt.objects.filter(pk__in=[attempt.pk for attempt in attempts]).update(
        outcome=WebhookAttempt.Outcome.LOST, finished_at=Now()
    )
    event_ids = [attempt.event_id for attempt in attempts if attempt.number == attempt.event.attempts]
    waiting = WebhookEvent.objects.filter(pk__in=event_ids, status__in=WebhookEvent.WAITING)
    waiting.update(crash_count=F("crash_count") + 1, next_attempt_at=Now())
    alone = WebhookAttempt.objects.filter(
        event_id__in=event_ids, solo=True, outcome=WebhookAttempt.Outcome.LOST, generation=F("event__generation")
    )
    crashed = alone.values("event_id").annotate(crashes=Count("id")).filter(crashes__gte=MAX_CRASHES)
    waiting.filter(pk__in=list(crashed.values_list("event_id", flat=True))).update(
        status=WebhookEvent.Status.FAILED, last_error=f"dead letter: its worker crashed {MAX_CRASHES} times"
    )
    return len(attempts)
