"""Acting on events: three short transactions for each.

1. claim: commit who tries. 2. effect: the handlers' writes and ``processed`` commit together, so that "done" and "the
effect is there" are one fact. 3. failure: the effect was rolled back; note why, and when to try again.
"""

import logging
import time
from collections import Counter
from collections.abc import Sequence

from django.conf import settings
from django.db import Error, connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from saas.database import connections
from saas.webhook_events import replays
from saas.webhook_events.envelope import Unreadable
from saas.webhook_events.models import WebhookAttempt, WebhookEvent
from saas.webhook_events.monitoring import alerts, latency
from saas.webhook_events.monitoring.statistics import add_tallies
from saas.webhook_events.processing import batches, claims, customer_locks, prefetch, retry_policy
from saas.webhook_events.processing.batches import AttemptResult
from saas.webhook_events.processing.claims import Claim
from saas.webhook_events.processing.dispatch import dispatch_event
from saas.webhook_events.processing.prefetch import TimedOut
from saas.webhook_events.registry import Ignore, Permanent, Retry
from saas.workers.time_limit import hard_time_limit

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 20.0
SLOW_EFFECT_SECONDS = 8.0  # an effect that ends in an error after so long is not tried again for nothing
CRASHED_SECONDS = 0.5
BATCH_SECONDS = 5.0  # well under the visibility: what a batch does not come to by then it gives back
LOCK_WAIT_SECONDS = 0.12
GATHER_SECONDS = 0.02
FIND_LOST_EVERY_SECONDS = 0.5
# Serialization, deadlock, a lock not got in time, a primary that has become a replica.
_TRANSIENT = {"40001", "40P01", "55P03", "25006"}
_STATEMENT_TIMEOUT, _LOCKED = "57014", "55P03"
_SETTLE_TRIES, _SETTLE_PAUSE_SECONDS = 5, 0.2

_Outcome = WebhookAttempt.Outcome
_Status = WebhookEvent.Status


class SlowStart:
    """A process that has just started may be one of many that die: it claims few events at once until it has lived on,
    so that its death holds few of them up."""

    def __init__(self) -> None:
        self.size = 4

    def grow(self) -> None:
        self.size = min(2 * self.size, claims.BATCH_SIZE)


_slow_start = SlowStart()


def process_event(event_id: int) -> None:
    """Act on one event now, if it waits and nobody works on it. Never raises for what a handler does."""
    if claim := claims.claim_event(event_id):
        _process_claims([claim])


def drain(seconds: float = DRAIN_SECONDS) -> int:
    """Act on everything that is due, for at most ``seconds``; tells how many attempts that took.

    Bulk replays go on only while nothing else waits.
    """
    deadline = time.monotonic() + seconds
    attempts, look_for_dead_at = 0, 0.0
    while (now := time.monotonic()) < deadline:
        is_thorough = now >= look_for_dead_at
        suspects = _process_crashed() if is_thorough else 0
        batch = claims.claim_batch(_slow_start.size)
        attempts += suspects + len(batch)
        if is_thorough and not suspects:
            look_for_dead_at = now + FIND_LOST_EVERY_SECONDS
        if batch:
            settled = _process_claims(batch)
            _slow_start.grow()
            if not settled:
                time.sleep(LOCK_WAIT_SECONDS)  # only busy lanes: their events come back within this time
            elif attempts > claims.BATCH_SIZE and 2 * len(batch) < claims.BATCH_SIZE:
                time.sleep(GATHER_SECONDS)  # a stream: what comes next is cheaper in company
        elif not is_thorough:
            look_for_dead_at = now  # before it says that nothing is left
        elif not suspects and not replays.advance_bulk_replay():
            break
    return attempts


def _process_crashed() -> int:
    """Find the work of the dead. Act on events whose worker died before, each claimed alone; for a moment only, because
    live ones wait behind them. Tells how many attempts that took."""
    claims.mark_lost_attempts()
    deadline = time.monotonic() + CRASHED_SECONDS
    attempts = 0
    while time.monotonic() < deadline and (alone := claims.claim_crashed()):
        _process_claims(alone)
        attempts += 1
    return attempts


def _process_claims(batch: Sequence[Claim]) -> int:
    """Act on each event of the batch, in company where that goes well; tells how many were settled, not postponed."""
    claimed_at = time.monotonic()
    done = batches.process_batch(batch, claimed_at + BATCH_SECONDS)
    settled = {one.claim.event_id for one in done}
    rest = [claim for claim in batch if claim.event_id not in settled]
    done += _one_by_one(rest, claimed_at + BATCH_SECONDS)
    outcomes = Counter([one.outcome or "lost" for one in done])
    add_tallies(outcomes + _timing_tallies(done, time.monotonic() - claimed_at))
    return len(done) - outcomes[_Outcome.POSTPONED]


def _one_by_one(batch: Sequence[Claim], until: float) -> list[AttemptResult]:
    """What is not come to before ``until`` is given back; the first one is always tried."""
    busy: set[str] = set()
    done: list[AttemptResult] = []
    for number, claim in enumerate(batch):
        if number and time.monotonic() > until:
            _release(batch[number:])
            break
        started = time.monotonic()
        outcome = _postpone(claim, "customer locked") if claim.lock_key in busy else run_attempt(claim)
        if outcome == _Outcome.POSTPONED:
            busy.add(claim.lock_key)
        done.append(AttemptResult(claim, outcome, time.monotonic() - started))
    return done


def _release(batch: Sequence[Claim]) -> None:
    """Of what cannot be given back the attempts stay open; the sweep will find them."""
    is_ours = not connections.is_in_transaction()
    try:
        claims.release_claims(batch)
    except connections.CONNECTION_ERRORS:
        logger.warning("webhook_claims_not_given_back", exc_info=True)
        if is_ours:
            connections.discard_connections()


def _timing_tallies(done: Sequence[AttemptResult], waited: float) -> Counter[str]:
    """``waited``: since the claim."""
    took = [one.seconds for one in done if one.outcome != _Outcome.POSTPONED]
    ages = [one.claim.age_seconds for one in done if one.outcome == _Outcome.PROCESSED]
    lags = [age + waited for age in ages if age is not None]
    return latency.observation_tallies("handler", took) + latency.observation_tallies("lag", lags)


def run_attempt(claim: Claim) -> WebhookAttempt.Outcome | None:
    """Make the claimed attempt. None if the claim was lost meanwhile: then nothing happened."""
    started = time.monotonic()
    is_ours = not connections.is_in_transaction()
    try:
        with hard_time_limit(batches.EFFECT_LIMIT_SECONDS):
            prefetch.run_prefetches(claim)
        with hard_time_limit(batches.EFFECT_LIMIT_SECONDS):
            return _effect(claim)
    except Exception as error:
        if is_ours and isinstance(error, connections.CONNECTION_ERRORS):
            connections.discard_connections()
        took_too_long = time.monotonic() - started > SLOW_EFFECT_SECONDS  # the database has ended it
        return _record_error(claim, TimedOut(_describe(error)) if took_too_long else error)


@transaction.atomic
def _effect(claim: Claim) -> WebhookAttempt.Outcome | None:
    event = claims.lock_claimed(claim)
    if event is None:
        return None
    customer_locks.acquire(event.lock_key)
    if reason := dispatch_event(event):
        _finish(claim, _Outcome.IGNORED, status=_Status.IGNORED, last_error=reason)
        return _Outcome.IGNORED
    _finish(claim, _Outcome.PROCESSED, status=_Status.PROCESSED, last_error="", processed_at=Now())
    return _Outcome.PROCESSED


def _finish(claim: Claim, outcome: WebhookAttempt.Outcome, **changes: object) -> None:
    """In the effect's transaction, which holds the event's row: no guard can fail any more."""
    WebhookEvent.objects.filter(pk=claim.event_id).update(**changes)
    WebhookAttempt.objects.filter(event_id=claim.event_id, number=claim.attempt).update(
        outcome=outcome, finished_at=Now()
    )


def _record_error(claim: Claim, error: Exception) -> WebhookAttempt.Outcome | None:
    """The effect was rolled back: write down what follows. A database that went away meanwhile gets a second to return."""
    is_ours = not connections.is_in_transaction()
    for _ in range(_SETTLE_TRIES):
        try:
            return _record_outcome(claim, error)
        except connections.CONNECTION_ERRORS as trouble:
            logger.warning("webhook_attempt_not_settled", extra={"event": claim.event_id}, exc_info=True)
            if is_ours:
                connections.discard_connections()
            if _sqlstate(trouble) == _LOCKED:  # by a session of ours that hangs, and may yet commit
                break
            time.sleep(_SETTLE_PAUSE_SECONDS)
    return None  # the attempt stays open; the sweep will find it


def _record_outcome(claim: Claim, error: Exception) -> WebhookAttempt.Outcome | None:
    match error:
        case customer_locks.LockUnavailable():
            return _postpone(claim, "customer locked")
        case Error() if isinstance(error, connections.CONNECTION_ERRORS) and _is_transient(error):
            return _postpone(claim, _describe(error))
        case Ignore():
            ended = claims.finish_attempt(claim, _Outcome.IGNORED, status=_Status.IGNORED, last_error=_describe(error))
            return _Outcome.IGNORED if ended else None
        case Unreadable():
            ended = claims.finish_attempt(claim, _Outcome.FAILED, error=_describe(error), status=_Status.QUARANTINED)
            return _Outcome.FAILED if ended else None
    return _note_failure(claim, error)


def _postpone(claim: Claim, reason: str) -> WebhookAttempt.Outcome | None:
    """Costs the event nothing."""
    later = Now() + retry_policy.lock_retry_delay()
    return (
        _Outcome.POSTPONED
        if claims.finish_attempt(claim, _Outcome.POSTPONED, error=reason, next_attempt_at=later)
        else None
    )


def _note_failure(claim: Claim, error: Exception) -> WebhookAttempt.Outcome | None:
    failures = claim.failures + 1
    is_over = isinstance(error, Permanent) or failures > settings.WEBHOOKS_MAX_RETRIES
    wait = (error.after if isinstance(error, Retry) else None) or retry_policy.retry_delay(failures)
    status = _Status.FAILED if is_over else _Status.RETRY_SCHEDULED
    sentence = _describe(error)
    with transaction.atomic():
        if not claims.finish_attempt(
            claim,
            _Outcome.FAILED,
            error=sentence,
            status=status,
            last_error=sentence,
            failures=F("failures") + 1,
            next_attempt_at=Now() + wait,
        ):
            return None
        add_tallies({"events_failed" if is_over else "events_retried": 1})
        alerts.alert_event_failed(claim.event_id) if is_over else alerts.alert_event_retried(claim.event_id, failures)
    logger.warning("webhook_attempt_failed", extra={"event": claim.event_id, "failures": failures}, exc_info=error)
    return _Outcome.FAILED


def _is_transient(error: Exception) -> bool:
    """A deadlock or a lost connection, which is not the event's fault; an exceeded time limit is."""
    state = _sqlstate(error)
    if connection.vendor != "postgresql":
        return "locked" in str(error)
    return state is None or state in _TRANSIENT or (state[:2] in {"08", "57"} and state != _STATEMENT_TIMEOUT)


def _sqlstate(error: Exception) -> str | None:
    """PostgreSQL's code; none where the connection was lost before it could say one."""
    return getattr(error.__cause__, "sqlstate", None)


def _describe(error: Exception) -> str:
    """What people read in the log: the kind of error, and what it said, in characters that every database takes."""
    text = f"{type(error).__name__}: {error}".replace("\x00", "\ufffd")
    return text.encode("utf-8", "replace").decode()[:1000]
