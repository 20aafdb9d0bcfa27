"""Acting on many events in one transaction: what a batch costs as long as nothing goes wrong in it.

Each event passes the same guards as alone: its row is held under its claim, its lane is entered, and its effect commits
together with "processed". At the first error of any of them all is rolled back, as if it had never been tried, and they
are acted on one by one: so an event that fails costs its company time, and nothing else (decision 90).
"""

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from django.db import transaction

from saas.database import connections
from saas.webhook_events.models import WebhookAttempt
from saas.webhook_events.processing import claims, customer_locks
from saas.webhook_events.processing.claims import Claim
from saas.webhook_events.processing.dispatch import BatchBuffer, dispatch_event
from saas.webhook_events.registry import Prefetch, prefetches_for
from saas.workers.time_limit import hard_time_limit

logger = logging.getLogger(__name__)

TRANSACTION_SECONDS = 0.2  # how long one transaction goes on taking events in: rows and lanes are held meanwhile
# Longer than anybody waits for the database to answer (17 s), so that its own limits come first; what computes on ends its
# process (saas.workers.time_limit), and its events are claimed alone.
EFFECT_LIMIT_SECONDS = 20.0


class AttemptResult(NamedTuple):
    """An attempt that is settled. ``outcome`` is None where the claim was lost meanwhile."""

    claim: Claim
    outcome: WebhookAttempt.Outcome | None
    seconds: float = 0.0


def process_batch(batch: Sequence[Claim], until: float) -> list[AttemptResult]:
    """Those that could be settled in company, before ``until`` on the monotonic clock. The others are untouched."""
    alone = _needing_prefetch(batch)
    waiting = [claim for claim in batch if claim.event_id not in alone]
    done: list[AttemptResult] = []
    is_ours = not connections.is_in_transaction()
    while len(waiting) > 1 and time.monotonic() < until:
        try:
            with hard_time_limit(EFFECT_LIMIT_SECONDS):
                share = _process_in_one_transaction(waiting)
        except Exception as error:
            logger.debug("webhook_batch_split", exc_info=error)  # whoever it was will raise it again, alone
            if is_ours and isinstance(error, connections.CONNECTION_ERRORS):
                connections.discard_connections()
            break
        if not share:  # only busy lanes
            break
        done += share
        settled = {one.claim.event_id for one in share}
        waiting = [claim for claim in waiting if claim.event_id not in settled]
    return done


def _needing_prefetch(batch: Sequence[Claim]) -> set[int]:
    """The events that need a preparation, or may need it: each kind is asked about all of its events at once."""
    about: dict[Prefetch, set[int]] = defaultdict(set)
    for claim in batch:
        for preparation in prefetches_for(claim.type):
            about[preparation].add(claim.event_id)
    return {event_id for preparation, ids in about.items() for event_id in _needing(preparation, ids)}


def _needing(preparation: Prefetch, event_ids: set[int]) -> set[int]:
    try:
        with hard_time_limit(EFFECT_LIMIT_SECONDS):
            return preparation.needed_by(event_ids)
    except Exception as error:
        logger.debug("webhook_need_unknown", exc_info=error)  # it will raise it again, alone
        return event_ids


@transaction.atomic
def _process_in_one_transaction(waiting: Sequence[Claim]) -> list[AttemptResult]:
    """One transaction's worth. At least one event of those that can be had is acted on, however long it takes."""
    held = claims.lock_claimed_batch(waiting)
    free = customer_locks.acquire_all({claim.lock_key for claim in waiting if claim.event_id in held})
    done = [AttemptResult(claim, None) for claim in waiting if claim.event_id not in held]
    ended: dict[str, list[Claim]] = defaultdict(list)  # by why they are ignored, if they are
    deadline, company = time.monotonic() + TRANSACTION_SECONDS, BatchBuffer()
    for claim in waiting:
        if claim.event_id not in held or claim.lock_key not in free:
            continue
        started = time.monotonic()
        reason = dispatch_event(held[claim.event_id], company)
        outcome = WebhookAttempt.Outcome.IGNORED if reason else WebhookAttempt.Outcome.PROCESSED
        ended[reason].append(claim)
        done.append(AttemptResult(claim, outcome, time.monotonic() - started))
        if time.monotonic() > deadline:
            break
    done = _flush_buffer(done, company)
    for reason, those in ended.items():
        claims.finish_batch(those, reason)
    return done


def _flush_buffer(done: list[AttemptResult], company: BatchBuffer) -> list[AttemptResult]:
    """Have the effect that is common to them; each is said to have taken its part of it."""
    started = time.monotonic()
    company.flush()
    part = (time.monotonic() - started) / max(len(done), 1)
    return [one._replace(seconds=one.seconds + part) for one in done]
