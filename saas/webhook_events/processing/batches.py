"""Processing many events in one transaction, which is cheap as long as all of them succeed.

Each event passes the same guards as alone: its row is locked under its claim, its customer's lock is held, and its effect
commits together with "processed". At the first error of any event the transaction is rolled back, and the events are
processed one by one: an event that fails costs the others of its batch time, and nothing else (decision 90).
"""

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from django.db import transaction

from saas.database import connections
from saas.webhook_events.dispatch import BatchBuffer, Prefetch, dispatch_event, prefetches_for
from saas.webhook_events.models import WebhookAttempt
from saas.webhook_events.processing import claims
from saas.webhook_events.processing.claims import Claim
from saas.workers.time_limit import hard_time_limit

logger = logging.getLogger(__name__)

TRANSACTION_SECONDS = 0.2  # after this one transaction takes no further event: it holds rows and locks meanwhile
# Longer than the database's own time limits (17 s at most), so that these come first. What computes on ends its process
# (saas.workers.time_limit), and its events are claimed alone.
EFFECT_LIMIT_SECONDS = 20.0


class AttemptResult(NamedTuple):
    """A finished attempt. ``outcome`` is None where the claim was lost meanwhile."""

    claim: Claim
    outcome: WebhookAttempt.Outcome | None
    seconds: float = 0.0


def process_batch(batch: Sequence[Claim], until: float) -> list[AttemptResult]:
    """Process events together, before ``until`` on the monotonic clock. Return the finished attempts; those that are left
    are to be processed one by one."""
    alone = _needing_prefetch(batch)
    waiting = [claim for claim in batch if claim.event_id not in alone]
    results: list[AttemptResult] = []
    is_ours = not connections.is_in_transaction()
    while len(waiting) > 1 and time.monotonic() < until:
        try:
            with hard_time_limit(EFFECT_LIMIT_SECONDS):
                finished = _process_in_one_transaction(waiting)
        except Exception as error:
            logger.debug("webhook_batch_split", exc_info=error)  # the event that raised it will raise it again, alone
            if is_ours and isinstance(error, connections.CONNECTION_ERRORS):
                connections.discard_connections()
            break
        if not finished:  # other workers hold all the locks
            break
        results += finished
        finished_ids = {result.claim.event_id for result in finished}
        waiting = [claim for claim in waiting if claim.event_id not in finished_ids]
    return results


def _needing_prefetch(batch: Sequence[Claim]) -> set[int]:
    """Return the events that need a prefetch, or may need it: each prefetch is asked about all of its events at once."""
    candidates: dict[Prefetch, set[int]] = defaultdict(set)
    for claim in batch:
        for prefetch in prefetches_for(claim.type):
            candidates[prefetch].add(claim.event_id)
    needing: set[int] = set()
    for prefetch, event_ids in candidates.items():
        try:
            with hard_time_limit(EFFECT_LIMIT_SECONDS):
                needing |= prefetch.needed_by(event_ids)
        except Exception as error:
            logger.debug("webhook_need_unknown", exc_info=error)  # it will raise it again, alone
            needing |= event_ids
    return needing


@transaction.atomic
def _process_in_one_transaction(waiting: Sequence[Claim]) -> list[AttemptResult]:
    """Process at least one of the events whose lock is free, and more until ``TRANSACTION_SECONDS`` are over."""
    held = claims.lock_claimed_batch(waiting)
    free = claims.acquire_customer_locks({claim.lock_key for claim in waiting if claim.event_id in held})
    results = [AttemptResult(claim, None) for claim in waiting if claim.event_id not in held]
    by_reason: dict[str, list[Claim]] = defaultdict(list)  # why they are ignored; empty for processed ones
    deadline, buffer = time.monotonic() + TRANSACTION_SECONDS, BatchBuffer()
    for claim in waiting:
        if claim.event_id not in held or claim.lock_key not in free:
            continue
        started = time.monotonic()
        reason = dispatch_event(held[claim.event_id], buffer)
        outcome = WebhookAttempt.Outcome.IGNORED if reason else WebhookAttempt.Outcome.PROCESSED
        by_reason[reason].append(claim)
        results.append(AttemptResult(claim, outcome, time.monotonic() - started))
        if time.monotonic() > deadline:
            break
    started = time.monotonic()
    buffer.flush()
    share = (time.monotonic() - started) / max(len(results), 1)
    for reason, finished in by_reason.items():
        claims.finish_batch(finished, reason)
    return [result._replace(seconds=result.seconds + share) for result in results]
