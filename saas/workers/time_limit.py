"""A hard time limit: what takes longer ends its process, and says on stderr where every thread stood.

Nothing is raised. An exception out of nowhere lands in a COMMIT as easily as in a handler, and leaves a connection behind
of which Django believes what is not true (decision 42). The interpreter's own watchdog waits outside of Python, so neither
a handler that computes without end nor a regular expression that never matches can keep it from its work. What the process
had under way never happened; its pool, its supervisor or its container replaces it.
"""

import faulthandler
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_SHORTEST_SECONDS = 0.001


class TimeLimits:
    """One timer for all threads of this process: it is set to the earliest deadline."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deadlines: dict[object, float] = {}

    def add(self, key: object, seconds: float) -> None:
        """End the process in ``seconds``, unless ``key`` is removed by then. A key that is there already starts anew."""
        with self._lock:
            self._deadlines[key] = time.monotonic() + seconds
            self._set()

    def remove(self, key: object) -> None:
        with self._lock:
            if self._deadlines.pop(key, None) is not None:
                self._set()

    def _set(self) -> None:
        if not self._deadlines:
            faulthandler.cancel_dump_traceback_later()
            return
        left = min(self._deadlines.values()) - time.monotonic()
        faulthandler.dump_traceback_later(max(left, _SHORTEST_SECONDS), exit=True, file=sys.__stderr__ or 2)


time_limits = TimeLimits()


@contextmanager
def hard_time_limit(seconds: float) -> Iterator[None]:
    """End this process if the block takes longer than ``seconds``. In any thread, and blocks may stand in others."""
    key = object()
    time_limits.add(key, seconds)
    try:
        yield
    finally:
        time_limits.remove(key)
