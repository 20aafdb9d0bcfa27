"""A hard time limit: it ends the process and writes a traceback of every thread to stderr.

Nothing is raised: an exception at an arbitrary point can interrupt a COMMIT, and leaves a connection whose state Django
misjudges (decision 42). The timer is faulthandler's, outside of Python, so an endless computation or regular expression cannot
block it. Open transactions are rolled back; the pool, the supervisor or the container replaces the process.
"""

import faulthandler
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_SHORTEST_SECONDS = 0.001


class TimeLimits:
    """Deadlines of all threads of this process, on one timer that is set to the earliest."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deadlines: dict[object, float] = {}

    def add(self, key: object, seconds: float) -> None:
        """End the process in ``seconds``, unless ``key`` is removed by then. Adding a key again restarts its time."""
        with self._lock:
            self._deadlines[key] = time.monotonic() + seconds
            self._set_timer()

    def remove(self, key: object) -> None:
        with self._lock:
            if self._deadlines.pop(key, None) is not None:
                self._set_timer()

    def _set_timer(self) -> None:
        if not self._deadlines:
            faulthandler.cancel_dump_traceback_later()
            return
        left = min(self._deadlines.values()) - time.monotonic()
        faulthandler.dump_traceback_later(max(left, _SHORTEST_SECONDS), exit=True, file=sys.__stderr__ or 2)


time_limits = TimeLimits()


@contextmanager
def hard_time_limit(seconds: float) -> Iterator[None]:
    """End this process if the block takes longer than ``seconds``. Works in any thread; blocks may be nested."""
    key = object()
    time_limits.add(key, seconds)
    try:
        yield
    finally:
        time_limits.remove(key)
