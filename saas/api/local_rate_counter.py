"""Counting in this process alone: what the rate limits fall back on while their shared counter is away."""

import math
import threading
import time
from collections.abc import Callable

MAX_KEYS = 10_000


class LocalRateCounter:
    """Fixed windows in memory, at most ``MAX_KEYS`` of them: the oldest is forgotten first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[str, tuple[float, int]] = {}  # key → (end of the window, count)

    def add(self, key: str, seconds: int) -> tuple[int, int]:
        """Count one; returns the window's count so far and the seconds until it ends."""
        now = self._clock()
        with self._lock:
            end, count = self._windows.pop(key, (0.0, 0))
            if end <= now:
                end, count = now + seconds, 0
            self._windows[key] = (end, count + 1)
            if len(self._windows) > MAX_KEYS:
                del self._windows[next(iter(self._windows))]
        return count + 1, math.ceil(end - now)
