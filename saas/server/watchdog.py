"""Kill a worker whose event loop has been blocked for ``HANG_TIMEOUT_SECONDS``; granian replaces it.

The worker's loop records a heartbeat each second; a thread of the parent reads them. A thread inside the worker would be
blocked with it: an endless regular expression holds the interpreter's lock.
"""

import asyncio
import logging
import os
import signal
import time
from contextlib import suppress
from threading import Thread

from saas.operations.processes import is_process_alive
from saas.server.shared_state import SharedState

logger = logging.getLogger(__name__)

HANG_TIMEOUT_SECONDS = 30.0
HEARTBEAT_SECONDS = 1.0


def start_watchdog(shared: SharedState) -> None:
    """Watch the workers in a daemon thread."""
    watchdog = Watchdog(shared)

    def watch() -> None:
        while True:
            time.sleep(HEARTBEAT_SECONDS)
            watchdog.check_workers(time.monotonic())

    Thread(target=watch, name="watchdog", daemon=True).start()


class Watchdog:
    """Kills workers whose heartbeat has not changed for ``HANG_TIMEOUT_SECONDS`` of calls to ``check_workers``."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        self._seen: dict[int, tuple[str, float]] = {}
        self._checked_at = float("-inf")

    def check_workers(self, now: float) -> None:
        """``now`` is monotonic. After a pause of this process (a suspended machine) every worker's time starts again."""
        was_paused = now - self._checked_at > 5 * HEARTBEAT_SECONDS
        self._checked_at = now
        beats = self._shared.heartbeats()
        self._seen = {
            pid: (beat, now if was_paused or self._seen.get(pid, ("", 0.0))[0] != beat else self._seen[pid][1])
            for pid, beat in beats.items()
        }
        for pid, (_, since) in self._seen.items():
            if not is_process_alive(pid):
                self._shared.remove_heartbeat(pid)
            elif now - since > HANG_TIMEOUT_SECONDS:
                logger.error("worker_hangs: killing %d, silent for %.0f s", pid, now - since)
                self._shared.remove_heartbeat(pid)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def send_heartbeats(loop: asyncio.AbstractEventLoop, shared: SharedState, parent: int, count: int = 0) -> None:
    """Record a heartbeat now and every second; to be called once in a worker. ``parent``: the id of the parent process.

    Ends a worker whose parent was killed: nothing else would.
    """
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)
        return
    with suppress(OSError):  # a full disk must not end the worker
        shared.record_heartbeat(count)
    loop.call_later(HEARTBEAT_SECONDS, send_heartbeats, loop, shared, parent, count + 1)
