"""Processing events: three short transactions for each.

1. claim: commit which worker tries. 2. effect: the handlers' writes and ``processed`` commit together, so an event is marked
processed exactly when its effect is there. 3. failure: the effect was rolled back; store why, and when to try again.
"""

import logging
import time
from collections import Counter
from collections.abc import Sequence

from django.conf import settings
from django.db import Error, connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from saas import request_context
from saas.database import connections
from saas.webhook_events import replays
from saas.webhook_events.dispatch import Ignore, Permanent, Retry, TimedOut, dispatch_event, run_prefetches
from saas.webhook_events.envelope import Unreadable
from saas.webhook_events.models import WebhookAttempt, WebhookEvent
from saas.webhook_events.monitoring import alerts, statistics
from saas.webhook_events.processing import batches, claims, retry_policy
from saas.webhook_events.processing.batches import AttemptResult
from saas.webhook_events.processing.claims import Claim
from saas.workers.time_limit import hard_time_limit

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 20.0
SLOW_EFFECT_SECONDS = 8.0  # an error after this long counts as a failure, even one that is usually transient
CRASHED_SECONDS = 0.5
BATCH_SECONDS = 5.0  # well under the visibility timeout; what a batch has not reached by then is released
LOCK_WAIT_SECONDS = 0.12
GATHER_SECONDS = 0.02
FIND_LOST_EVERY_SECONDS = 0.5
# Serialization failure, deadlock, lock timeout, a primary that has become a replica.
_TRANSIENT = {"40001", "40P01", "55P03", "25006"}
_STATEMENT_TIMEOUT, _LOCKED = "57014", "55P03"
_RECORD_TRIES, _RECORD_PAUSE_SECONDS = 5, 0.2

_Outcome = WebhookAttempt.Outcome
_Status = WebhookEvent.Status


class SlowStart:
    """A process claims few events at once until it has survived some: if it is one of many that crash, it holds few up."""

    def __init__(self) -> None:
        self.size = 4

    def grow(self) -> None:
        self.size = min(2 * self.size, claims.BATCH_SIZE)


_slow_start = SlowStart()


def process_event(event_id: int) -> None:
    """Process one event now, if it waits and no worker has it. Never raises what a handler raises."""
    if claim := claims.claim_event(event_id):
        _process_claims([claim])


def process_events(event_ids: Sequence[int]) -> None:
    """Process these events now, together where that succeeds, as ``process_event`` does one. Those whose worker crashed
    before are left to the sweep, which claims them alone."""
    if len(event_ids) == 1:
        process_event(event_ids[0])
        return
    while batch := claims.claim_events(event_ids):  # what a batch has released is claimed again
        if _process_claims(batch) == len(event_ids):
            return


def drain(seconds: float = DRAIN_SECONDS) -> int:
    """Process everything that is due, for at most ``seconds``. Return the number of attempts.

    A bulk replay goes on only while nothing else is due.
    """
    deadline = time.monotonic() + seconds
    attempts, find_lost_at = 0, 0.0
    while (now := time.monotonic()) < deadline:
        is_thorough = now >= find_lost_at
        crashed = _process_crashed() if is_thorough else 0
        batch = claims.claim_batch(_slow_start.size)
        attempts += crashed + len(batch)
        if is_thorough and not crashed:
            find_lost_at = now + FIND_LOST_EVERY_SECONDS
        if batch:
            finished = _process_claims(batch)
            _slow_start.grow()
            if not finished:
                time.sleep(LOCK_WAIT_SECONDS)  # all customers are locked: the events are due again within this time
            elif attempts > claims.BATCH_SIZE and 2 * len(batch) < claims.BATCH_SIZE:
                time.sleep(GATHER_SECONDS)  # a steady stream: larger batches are cheaper
        elif not is_thorough:
            find_lost_at = now  # look for lost attempts before reporting that nothing is left
        elif not crashed and not replays.advance_bulk_replay():
            break
    return attempts


def _process_crashed() -> int:
    """Find lost attempts, and process events whose worker crashed before, each claimed alone. Return how many.

    For a moment only, because other events are waiting meanwhile.
    """
    claims.mark_lost_attempts()
    deadline = time.monotonic() + CRASHED_SECONDS
    attempts = 0
    while time.monotonic() < deadline and (alone := claims.claim_crashed()):
        _process_claims(alone)
        attempts += 1
    return attempts


def _process_claims(batch: Sequence[Claim]) -> int:
    """Process each event, together where that succeeds. Return how many attempts ended, without the postponed ones."""
    claimed_at = time.monotonic()
    until = claimed_at + BATCH_SECONDS
    with request_context.span("webhook.process", events=len(batch)):
        results = batches.process_batch(batch, until) if len(batch) > 1 else []
        finished = {result.claim.event_id for result in results}
        results += _process_one_by_one([claim for claim in batch if claim.event_id not in finished], until)
    outcomes = Counter([result.outcome or "lost" for result in results])
    since_claim = time.monotonic() - claimed_at
    took = [result.seconds for result in results if result.outcome != _Outcome.POSTPONED]
    ages = [result.claim.age_seconds for result in results if result.outcome == _Outcome.PROCESSED]
    lags = [age + since_claim for age in ages if age is not None]
    timings = statistics.latency_tallies("handler", took) + statistics.latency_tallies("lag", lags)
    statistics.add_tallies(outcomes + timings)
    return len(results) - outcomes[_Outcome.POSTPONED]


def _process_one_by_one(batch: Sequence[Claim], until: float) -> list[AttemptResult]:
    """Release what is not reached before ``until``; the first event is always tried."""
    locked: set[str] = set()
    results: list[AttemptResult] = []
    for number, claim in enumerate(batch):
        if number and time.monotonic() > until:
            _release(batch[number:])
            break
        started = time.monotonic()
        outcome = _postpone(claim, "customer locked") if claim.lock_key in locked else run_attempt(claim)
        if outcome == _Outcome.POSTPONED:
            locked.add(claim.lock_key)
        results.append(AttemptResult(claim, outcome, time.monotonic() - started))
    return results


def _release(batch: Sequence[Claim]) -> None:
    """Where that fails the attempts stay open, and the sweep finds them."""
    is_ours = not connections.is_in_transaction()
    try:
        claims.release_claims(batch)
    except connections.CONNECTION_ERRORS:
        logger.warning("webhook_claims_not_given_back", exc_info=True)
        if is_ours:
            connections.discard_connections()


def run_attempt(claim: Claim) -> WebhookAttempt.Outcome | None:
    """Make the claimed attempt. None if the claim was lost meanwhile: then nothing happened."""
    started = time.monotonic()
    is_ours = not connections.is_in_transaction()
    try:
        with hard_time_limit(batches.EFFECT_LIMIT_SECONDS):
            run_prefetches(claim.event_id, claim.type)
        with hard_time_limit(batches.EFFECT_LIMIT_SECONDS):
            return _process(claim)
    except Exception as error:
        if is_ours and isinstance(error, connections.CONNECTION_ERRORS):
            connections.discard_connections()
        took_too_long = time.monotonic() - started > SLOW_EFFECT_SECONDS  # the database has ended it
        return _record_error(claim, TimedOut(_describe(error)) if took_too_long else error)


@transaction.atomic
def _process(claim: Claim) -> WebhookAttempt.Outcome | None:
    event = claims.lock_claimed(claim)
    if event is None:
        return None
    claims.acquire_customer_lock(event.lock_key)
    reason = dispatch_event(event)
    claims.finish_batch([claim], reason)
    return _Outcome.IGNORED if reason else _Outcome.PROCESSED


def _record_error(claim: Claim, error: Exception) -> WebhookAttempt.Outcome | None:
    """Store what follows from an effect that was rolled back. Wait up to a second for a database that went away."""
    is_ours = not connections.is_in_transaction()
    for _ in range(_RECORD_TRIES):
        try:
            return _record_outcome(claim, error)
        except connections.CONNECTION_ERRORS as trouble:
            logger.warning("webhook_attempt_not_settled", extra={"event": claim.event_id}, exc_info=True)
            if is_ours:
                connections.discard_connections()
            if _sqlstate(trouble) == _LOCKED:  # by a session of ours that hangs, and may yet commit
                break
            time.sleep(_RECORD_PAUSE_SECONDS)
    return None  # the attempt stays open, and the sweep finds it


def _record_outcome(claim: Claim, error: Exception) -> WebhookAttempt.Outcome | None:
    match error:
        case claims.LockUnavailable():
            return _postpone(claim, "customer locked")
        case Error() if isinstance(error, connections.CONNECTION_ERRORS) and _is_transient(error):
            return _postpone(claim, _describe(error))
        case Ignore():
            ended = claims.finish_attempt(claim, _Outcome.IGNORED, status=_Status.IGNORED, last_error=_describe(error))
            return _Outcome.IGNORED if ended else None
        case Unreadable():
            ended = claims.finish_attempt(claim, _Outcome.FAILED, error=_describe(error), status=_Status.QUARANTINED)
            return _Outcome.FAILED if ended else None
    return _record_failure(claim, error)


def _postpone(claim: Claim, reason: str) -> WebhookAttempt.Outcome | None:
    """Does not count as a failure."""
    later = Now() + retry_policy.lock_retry_delay()
    is_ours = claims.finish_attempt(claim, _Outcome.POSTPONED, error=reason, next_attempt_at=later)
    return _Outcome.POSTPONED if is_ours else None


def _record_failure(claim: Claim, error: Exception) -> WebhookAttempt.Outcome | None:
    failures = claim.failures + 1
    is_over = isinstance(error, Permanent) or failures > settings.WEBHOOKS_MAX_RETRIES
    wait = (error.after if isinstance(error, Retry) else None) or retry_policy.retry_delay(failures)
    description = _describe(error)
    with transaction.atomic():
        if not claims.finish_attempt(
            claim,
            _Outcome.FAILED,
            error=description,
            status=_Status.FAILED if is_over else _Status.RETRY_SCHEDULED,
            last_error=description,
            failures=F("failures") + 1,
            next_attempt_at=Now() + wait,
        ):
            return None
        statistics.add_tallies({"events_failed" if is_over else "events_retried": 1})
        alerts.alert_event_failed(claim.event_id) if is_over else alerts.alert_event_retried(claim.event_id, failures)
    logger.warning("webhook_attempt_failed", extra={"event": claim.event_id, "failures": failures}, exc_info=error)
    return _Outcome.FAILED


def _is_transient(error: Exception) -> bool:
    """A deadlock or a lost connection is not the event's fault; an exceeded time limit is."""
    state = _sqlstate(error)
    if connection.vendor != "postgresql":
        return "locked" in str(error)
    return state is None or state in _TRANSIENT or (state[:2] in {"08", "57"} and state != _STATEMENT_TIMEOUT)


def _sqlstate(error: Exception) -> str | None:
    """PostgreSQL's error code; None where the connection was lost before it sent one."""
    return getattr(error.__cause__, "sqlstate", None)


def _describe(error: Exception) -> str:
    """The kind of error and its message, in characters that every database can store."""
    text = f"{type(error).__name__}: {error}".replace("\x00", "\ufffd")
    return text.encode("utf-8", "replace").decode()[:1000]
