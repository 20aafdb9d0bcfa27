"""When a failing event is tried again, until it is ``failed``. Times are computed in the database: workers' clocks may differ."""

import random
from datetime import timedelta

RETRY_DELAYS = [
    timedelta(seconds=10),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=12),
    timedelta(hours=24),
    timedelta(hours=24),
]
MAX_JITTER = 0.1
_MIN_LOCK_DELAY_MS, _MAX_LOCK_DELAY_MS = 20, 120


def retry_delay(failures: int) -> timedelta:
    """The delay after the n-th failure: from the table, plus up to a tenth, so that many events spread."""
    step = RETRY_DELAYS[min(failures, len(RETRY_DELAYS)) - 1]
    return step * (1 + random.uniform(0, MAX_JITTER))  # noqa: S311


def lock_retry_delay() -> timedelta:
    """The delay of an event that was postponed without a failure: its customer was locked, or its connection lost."""
    return timedelta(milliseconds=random.randint(_MIN_LOCK_DELAY_MS, _MAX_LOCK_DELAY_MS))  # noqa: S311
