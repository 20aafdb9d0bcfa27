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
from saas.webhook_events.monitoring.statistics import tally
from saas.webhook_events.processing import batches, claims, customer_locks, prefetch, retry_policy
from saas.webhook_events.processing.batches import Done
from saas.webhook_events.processing.claims import Claim
from saas.webhook_events.processing.dispatch import have_effect
from saas.webhook_events.processing.prefetch import TookTooLong
from saas.webhook_events.registry import Ignore, Permanent, Retry
from saas.workers.time_limit import hard_time_limit

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 20.0
LONG_SECONDS = 8.0  # an effect that ends in an error after so long is not tried again for nothing
SUSPECT_SECONDS = 0.5
BATCH_SECONDS = 5.0  # well under the visibility: what a batch does not come to by then it gives back
LONGEST_PAUSE_SECONDS = 0.12
GATHER_SECONDS = 0.02
LOOK_FOR_DEAD_EVERY_SECONDS = 0.5
# Serialization, deadlock, a lock not got in time, a primary that has become a replica.
_TRANSIENT = {"40001", "40P01", "55P03", "25006"}
_STATEMENT_TIMEOUT, _LOCKED = "57014", "55P03"
_SETTLE_TRIES, _SETTLE_PAUSE_SECONDS = 5, 0.2

_Outcome = WebhookAttempt.Outcome
_Status = WebhookEvent.Status


class Pace:
    """A process that has just started may be one of many that die: it claims few events at once until it has lived on,
    so that its death holds few of them up."""

    def __init__(self) -> None:
        self.size = 4

    def survived(self) -> None:
        self.size = min(2 * self.size, claims.BATCH_SIZE)


_pace = Pace()


def process(event_id: int) -> None:
    """Act on one event now, if it waits and nobody works on it. Never raises for what a handler does."""
    if claim := claims.claim(event_id):
        _work_off([claim])


def drain(seconds: float = DRAIN_SECONDS) -> int:
    """Act on everything that is due, for at most ``seconds``; tells how many attempts that took.

    Bulk replays go on only while nothing else waits.
    """
    deadline = time.monotonic() + seconds
    attempts, look_for_dead_at = 0, 0.0
    while (now := time.monotonic()) < deadline:
        is_thorough = now >= look_for_dead_at
        suspects = _work_off_suspects() if is_thorough else 0
        batch = claims.claim_batch(_pace.size)
        attempts += suspects + len(batch)
        if is_thorough and not suspects:
            look_for_dead_at = now + LOOK_FOR_DEAD_EVERY_SECONDS
        if batch:
            settled = _work_off(batch)
            _pace.survived()
            if not settled:
                time.sleep(LONGEST_PAUSE_SECONDS)  # only busy lanes: their events come back within this time
            elif attempts > claims.BATCH_SIZE and 2 * len(batch) < claims.BATCH_SIZE:
                time.sleep(GATHER_SECONDS)  # a stream: what comes next is cheaper in company
        elif not is_thorough:
            look_for_dead_at = now  # before it says that nothing is left
        elif not suspects and not replays.advance():
            break
    return attempts


def _work_off_suspects() -> int:
    """Find the work of the dead. Act on events whose worker died before, each claimed alone; for a moment only, because
    live ones wait behind them. Tells how many attempts that took."""
    claims.mark_lost()
    deadline = time.monotonic() + SUSPECT_SECONDS
    attempts = 0
    while time.monotonic() < deadline and (alone := claims.claim_suspect()):
        _work_off(alone)
        attempts += 1
    return attempts


def _work_off(batch: Sequence[Claim]) -> int:
    """Act on each event of the batch, in company where that goes well; tells how many were settled, not postponed."""
    claimed_at = time.monotonic()
    done = batches.act(batch, claimed_at + BATCH_SECONDS)
    settled = {one.claim.event_id for one in done}
    rest = [claim for claim in batch if claim.event_id not in settled]
    done += _one_by_one(rest, claimed_at + BATCH_SECONDS)
    outcomes = Counter([one.outcome or "lost" for one in done])
    tally(outcomes + _times(done, time.monotonic() - claimed_at))
    return len(done) - outcomes[_Outcome.POSTPONED]


def _one_by_one(batch: Sequence[Claim], until: float) -> list[Done]:
    """What is not come to before ``until`` is given back; the first one is always tried."""
    busy: set[str] = set()
    done: list[Done] = []
    for number, claim in enumerate(batch):
        if number and time.monotonic() > until:
            _give_back(batch[number:])
            break
        started = time.monotonic()
        outcome = _postpone(claim, "busy lane") if claim.lane in busy else act(claim)
        if outcome == _Outcome.POSTPONED:
            busy.add(claim.lane)
        done.append(Done(claim, outcome, time.monotonic() - started))
    return done


def _give_back(batch: Sequence[Claim]) -> None:
    """Of what cannot be given back the attempts stay open; the sweep will find them."""
    is_ours = not connections.is_in_transaction()
    try:
        claims.give_back(batch)
    except connections.CONNECTION_ERRORS:
        logger.warning("webhook_claims_not_given_back", exc_info=True)
        if is_ours:
            connections.discard_connections()


def _times(done: Sequence[Done], waited: float) -> Counter[str]:
    """``waited``: since the claim."""
    took = [one.seconds for one in done if one.outcome != _Outcome.POSTPONED]
    ages = [one.claim.age_seconds for one in done if one.outcome == _Outcome.PROCESSED]
    lags = [age + waited for age in ages if age is not None]
    return latency.observed("handler", took) + latency.observed("lag", lags)


def act(claim: Claim) -> WebhookAttempt.Outcome | None:
    """Make the claimed attempt. None if the claim was lost meanwhile: then nothing happened."""
    started = time.monotonic()
    is_ours = not connections.is_in_transaction()
    try:
        with hard_time_limit(batches.EFFECT_LIMIT_SECONDS):
            prefetch.prepare(claim)
        with hard_time_limit(batches.EFFECT_LIMIT_SECONDS):
            return _effect(claim)
    except Exception as error:
        if is_ours and isinstance(error, connections.CONNECTION_ERRORS):
            connections.discard_connections()
        took_too_long = time.monotonic() - started > LONG_SECONDS  # the database has ended it
        return _without_effect(claim, TookTooLong(_sentence(error)) if took_too_long else error)


@transaction.atomic
def _effect(claim: Claim) -> WebhookAttempt.Outcome | None:
    event = claims.held(claim)
    if event is None:
        return None
    customer_locks.enter(event.lane)
    if reason := have_effect(event):
        _end(claim, _Outcome.IGNORED, status=_Status.IGNORED, last_error=reason)
        return _Outcome.IGNORED
    _end(claim, _Outcome.PROCESSED, status=_Status.PROCESSED, last_error="", processed_at=Now())
    return _Outcome.PROCESSED


def _end(claim: Claim, outcome: WebhookAttempt.Outcome, **changes: object) -> None:
    """In the effect's transaction, which holds the event's row: no guard can fail any more."""
    WebhookEvent.objects.filter(pk=claim.event_id).update(**changes)
    WebhookAttempt.objects.filter(event_id=claim.event_id, number=claim.attempt).update(
        outcome=outcome, finished_at=Now()
    )


def _without_effect(claim: Claim, error: Exception) -> WebhookAttempt.Outcome | None:
    """The effect was rolled back: write down what follows. A database that went away meanwhile gets a second to return."""
    is_ours = not connections.is_in_transaction()
    for _ in range(_SETTLE_TRIES):
        try:
            return _settled(claim, error)
        except connections.CONNECTION_ERRORS as trouble:
            logger.warning("webhook_attempt_not_settled", extra={"event": claim.event_id}, exc_info=True)
            if is_ours:
                connections.discard_connections()
            if _state(trouble) == _LOCKED:  # by a session of ours that hangs, and may yet commit
                break
            time.sleep(_SETTLE_PAUSE_SECONDS)
    return None  # the attempt stays open; the sweep will find it


def _settled(claim: Claim, error: Exception) -> WebhookAttempt.Outcome | None:
    match error:
        case customer_locks.LockUnavailable():
            return _postpone(claim, "busy lane")
        case Error() if isinstance(error, connections.CONNECTION_ERRORS) and _is_transient(error):
            return _postpone(claim, _sentence(error))
        case Ignore():
            ended = claims.settle(claim, _Outcome.IGNORED, status=_Status.IGNORED, last_error=_sentence(error))
            return _Outcome.IGNORED if ended else None
        case Unreadable():
            ended = claims.settle(claim, _Outcome.FAILED, error=_sentence(error), status=_Status.QUARANTINED)
            return _Outcome.FAILED if ended else None
    return _note_failure(claim, error)


def _postpone(claim: Claim, reason: str) -> WebhookAttempt.Outcome | None:
    """Costs the event nothing."""
    later = Now() + retry_policy.pause()
    return _Outcome.POSTPONED if claims.settle(claim, _Outcome.POSTPONED, error=reason, next_attempt_at=later) else None


def _note_failure(claim: Claim, error: Exception) -> WebhookAttempt.Outcome | None:
    failures = claim.failures + 1
    is_over = isinstance(error, Permanent) or failures > settings.WEBHOOKS_MAX_RETRIES
    wait = (error.after if isinstance(error, Retry) else None) or retry_policy.back_off(failures)
    status = _Status.FAILED if is_over else _Status.RETRY_SCHEDULED
    sentence = _sentence(error)
    with transaction.atomic():
        if not claims.settle(
            claim,
            _Outcome.FAILED,
            error=sentence,
            status=status,
            last_error=sentence,
            failures=F("failures") + 1,
            next_attempt_at=Now() + wait,
        ):
            return None
        tally({"events_failed" if is_over else "events_retried": 1})
        alerts.event_failed(claim.event_id) if is_over else alerts.event_retried(claim.event_id, failures)
    logger.warning("webhook_attempt_failed", extra={"event": claim.event_id, "failures": failures}, exc_info=error)
    return _Outcome.FAILED


def _is_transient(error: Exception) -> bool:
    """A deadlock or a lost connection, which is not the event's fault; an exceeded time limit is."""
    state = _state(error)
    if connection.vendor != "postgresql":
        return "locked" in str(error)
    return state is None or state in _TRANSIENT or (state[:2] in {"08", "57"} and state != _STATEMENT_TIMEOUT)


def _state(error: Exception) -> str | None:
    """PostgreSQL's code; none where the connection was lost before it could say one."""
    return getattr(error.__cause__, "sqlstate", None)


def _sentence(error: Exception) -> str:
    """What people read in the log: the kind of error, and what it said, in characters that every database takes."""
    text = f"{type(error).__name__}: {error}".replace("\x00", "\ufffd")
    return text.encode("utf-8", "replace").decode()[:1000]
