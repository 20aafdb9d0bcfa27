"""Replaces a worker that hangs: one whose event loop has not turned for half a minute, whatever holds it up.

The worker's loop notes a sign of life each second; a thread of the parent, which runs nothing else, looks for it. (A thread
inside the worker would stand still with it: an endless regular expression holds the interpreter's lock.) granian starts
another worker in the place of one that died.
"""

import asyncio
import logging
import os
import signal
import time
from contextlib import suppress
from threading import Thread

from saas.server.shared_state import SharedState, is_process_alive

logger = logging.getLogger(__name__)

HANG_TIMEOUT_SECONDS = 30.0
HEARTBEAT_SECONDS = 1.0


def start_watchdog(shared: SharedState) -> None:
    """Watch in the background, until this process ends."""
    Thread(target=_watch, args=[Watchdog(shared)], name="watchdog", daemon=True).start()


def _watch(watch: "Watchdog") -> None:
    while True:
        time.sleep(HEARTBEAT_SECONDS)
        watch.check_workers(time.monotonic())


class Watchdog:
    """Kills workers that ``look`` has found without a sign of life for ``HANG_SECONDS``."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        self._seen: dict[int, tuple[str, float]] = {}
        self._looked_at = float("-inf")

    def check_workers(self, now: float) -> None:
        """``now`` is monotonic. After a pause of this process itself all begin anew: they may have been paused, too."""
        was_paused = now - self._looked_at > 5 * HEARTBEAT_SECONDS
        self._looked_at = now
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
                _kill(pid)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def send_heartbeats(loop: asyncio.AbstractEventLoop, shared: SharedState, parent: int, count: int = 0) -> None:
    """To be called once in a worker, with its loop and its parent's id. A worker whose parent was killed ends, too: nothing
    would ever end it."""
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)
        return
    with suppress(OSError):  # a full disk is no reason to end
        shared.record_heartbeat(count)
    loop.call_later(HEARTBEAT_SECONDS, send_heartbeats, loop, shared, parent, count + 1)
