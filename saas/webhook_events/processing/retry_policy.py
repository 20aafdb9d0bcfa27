"""When a failing event is tried again. Every moment is the database's: workers' clocks may differ."""

import random
from datetime import timedelta

BACKOFF = [
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
_SHORTEST_PAUSE_MS, _LONGEST_PAUSE_MS = 20, 120


def back_off(failures: int) -> timedelta:
    """The wait after the n-th failure: from the table, plus up to a tenth so that a crowd spreads."""
    step = BACKOFF[min(failures, len(BACKOFF)) - 1]
    return step * (1 + random.uniform(0, MAX_JITTER))  # noqa: S311


def pause() -> timedelta:
    """The wait of an event whose lane is busy."""
    return timedelta(milliseconds=random.randint(_SHORTEST_PAUSE_MS, _LONGEST_PAUSE_MS))  # noqa: S311
