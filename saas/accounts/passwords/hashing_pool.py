"""Hash passwords in a bounded pool of low-priority threads.

A hash costs a fifth of a second of processor time. A flood of logins must not starve other requests: few hashes run at a
time, few wait, and the threads yield the processor to others.
"""

import hashlib
import math
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import ParamSpec, TypeVar

from django.utils.crypto import pbkdf2

from saas.errors import DomainError

P = ParamSpec("P")
T = TypeVar("T")

MAX_HASHING = min(4, os.cpu_count() or 1)  # more at once are no faster, and slow other requests
MAX_WAITING = 32
MAX_WAIT_SECONDS = 5.0
_NICE = 10  # of 19: a ninth of the share of a thread of normal priority


class HashingBusy(DomainError):
    code, title, status = "busy", "Too many people are logging in at once. Try again in a moment.", 503


class ConcurrencyLimiter:
    """Let ``size`` threads run at a time and ``queue`` threads wait, at most ``seconds``; refuse the others."""

    def __init__(self, size: int, queue: int, seconds: float) -> None:
        self._slots = threading.BoundedSemaphore(size)
        self._queue = threading.BoundedSemaphore(size + queue)
        self._seconds = seconds

    def require_capacity(self) -> None:
        """Raise ``HashingBusy`` if the queue is full now. Call it before anything costly: in a flood most are refused."""
        self._join_queue()
        self._queue.release()

    def _join_queue(self) -> None:
        if not self._queue.acquire(blocking=False):
            raise self._busy()

    def _busy(self) -> HashingBusy:
        return HashingBusy(retry_after_seconds=math.ceil(self._seconds))

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold one of the slots. Raises ``HashingBusy`` if the queue is full or the wait takes too long."""
        self._join_queue()
        try:
            if not self._slots.acquire(timeout=self._seconds):
                raise self._busy()
            try:
                yield
            finally:
                self._slots.release()
        finally:
            self._queue.release()


LIMITER = ConcurrencyLimiter(MAX_HASHING, MAX_WAITING, MAX_WAIT_SECONDS)


class HashingPool:
    """Threads, as many as may hash at once. Each process has its own pool: threads do not survive a fork."""

    def __init__(self) -> None:
        self._start_threads()
        os.register_at_fork(after_in_child=self._start_threads)

    def _start_threads(self) -> None:
        self._threads = ThreadPoolExecutor(MAX_HASHING, thread_name_prefix="hashing", initializer=_lower_priority)

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return self._threads.submit(function, *args, **kwargs).result()


def _lower_priority() -> None:
    """Lower this thread's priority on Linux; elsewhere only processes have one, and nothing changes."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


_pool = HashingPool()


def run(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what a costly ``function`` returns, run in the pool. Raises ``HashingBusy``."""
    with LIMITER.slot():
        return _pool.run(function, *args, **kwargs)


def pbkdf2_sha256(password: str, salt: str, iterations: int) -> bytes:
    """Return the derived key. Raises ``HashingBusy``."""
    return run(pbkdf2, password, salt, iterations, digest=hashlib.sha256)
