"""The work of hashing passwords: a fifth of a second of processor each, so a flood of logins is kept from starving the rest.

Few at a time, few that wait, and in threads that give way: while others have work, they do it first.
"""

import hashlib
import math
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from django.utils.crypto import pbkdf2

from saas.errors import DomainError

MAX_HASHING = min(4, os.cpu_count() or 1)  # more at once are no faster, and in everybody's way
MAX_WAITING = 32
MAX_WAIT_SECONDS = 5.0
_NICE = 10  # of 19: a ninth of the share of a thread that does not give way


class HashingBusy(DomainError):
    code, title, status = "busy", "Too many people are logging in at once. Try again in a moment.", 503


class ConcurrencyLimiter:
    """Lets ``size`` threads through at a time and ``queue`` wait: a flood of logins must not take every processor."""

    def __init__(self, size: int, queue: int, seconds: float) -> None:
        self._seats = threading.BoundedSemaphore(size)
        self._room = threading.BoundedSemaphore(size + queue)
        self._seconds = seconds

    def require_capacity(self) -> None:
        """Raises ``HashingBusy`` if the queue is full now. Asked before anything that costs: a flood is mostly refusals."""
        self._take_room()
        self._room.release()

    def _take_room(self) -> None:
        if not self._room.acquire(blocking=False):
            raise self._busy()

    def _busy(self) -> HashingBusy:
        return HashingBusy(retry_after_seconds=math.ceil(self._seconds))

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Raises ``HashingBusy`` if the queue is full or does not move."""
        self._take_room()
        try:
            if not self._seats.acquire(timeout=self._seconds):
                raise self._busy()
            try:
                yield
            finally:
                self._seats.release()
        finally:
            self._room.release()


LIMITER = ConcurrencyLimiter(MAX_HASHING, MAX_WAITING, MAX_WAIT_SECONDS)


class HashingPool:
    """As many as may hash at once. Each process has its own: a fork takes none along."""

    def __init__(self) -> None:
        self._start_anew()
        os.register_at_fork(after_in_child=self._start_anew)

    def _start_anew(self) -> None:
        self._threads = ThreadPoolExecutor(MAX_HASHING, thread_name_prefix="hashing", initializer=_give_way)

    def pbkdf2_sha256(self, password: str, salt: str, iterations: int) -> bytes:
        return self._threads.submit(pbkdf2, password, salt, iterations, digest=hashlib.sha256).result()


def _give_way() -> None:
    """Linux knows a thread's priority; where only processes have one, nothing changes."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


_pool = HashingPool()


def pbkdf2_sha256(password: str, salt: str, iterations: int) -> bytes:
    """The derived key. Raises ``HashingBusy``."""
    with LIMITER.slot():
        return _pool.pbkdf2_sha256(password, salt, iterations)
