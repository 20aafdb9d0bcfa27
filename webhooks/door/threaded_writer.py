"""The writer for servers that answer each request in a thread: they leave their deliveries with one that writes them.

Nobody waits for company, as in ``writer``: the thread takes whatever was left with it during the commit before.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue

from django.db import connection

from saas import context
from saas.webhook_events.deliveries import Delivery
from webhooks.door.writer import Order, Outcome, Told, count_that_fits, write

Write = Callable[[Sequence[Order]], list[Outcome]]

_LOOK_SECONDS = 0.5


class WriterDied(Exception):
    """Nobody knows whether the delivery is stored. Storing it once more is storing it once."""


class ThreadedWriter:
    """May be used by any thread. Its own begins with the first delivery, so that none is left behind by a fork."""

    def __init__(self, write: Write = write) -> None:
        self._write = write
        self._starting = threading.Lock()
        self._thread: _WritingThread | None = None

    def store(self, delivery: Delivery, request: context.Context, tell: Told) -> None:
        """``tell`` is called before this returns, in the thread that asks."""
        tell(self._living_thread().outcome_of(delivery, request))

    def _living_thread(self) -> "_WritingThread":
        thread = self._thread
        return thread if thread is not None and thread.is_alive() else self._start()

    def _start(self) -> "_WritingThread":
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = _WritingThread(self._write)
                self._thread.start()
            return self._thread


class _WritingThread(threading.Thread):
    """Has the one connection that this process writes through. If it ends it takes nobody along: who waits looks after it."""

    def __init__(self, write: Write) -> None:
        super().__init__(name="intake-writer", daemon=True)
        self._write = write
        self._left_here: SimpleQueue[Order] = SimpleQueue()

    def outcome_of(self, delivery: Delivery, request: context.Context) -> Outcome:
        told: SimpleQueue[Outcome] = SimpleQueue()
        self._left_here.put(Order(delivery, request, told.put))
        while True:
            try:
                return told.get(timeout=_LOOK_SECONDS)
            except Empty:
                if not self.is_alive():
                    return WriterDied()

    def run(self) -> None:
        try:
            self._keep_writing()
        finally:
            connection.close()  # this thread's: each has its own

    def _keep_writing(self) -> None:
        waiting: list[Order] = []
        while True:
            waiting += [] if waiting else [self._left_here.get()]
            waiting += self._company()
            count = count_that_fits(waiting)
            batch, waiting = waiting[:count], waiting[count:]
            for order, outcome in zip(batch, self._write(batch), strict=True):
                order.tell(outcome)

    def _company(self) -> list[Order]:
        found: list[Order] = []
        with suppress(Empty):
            while True:
                found.append(self._left_here.get_nowait())
        return found
