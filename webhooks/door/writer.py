"""Gathers the deliveries that arrive while a commit is under way, and writes them in one statement after it.

Nobody waits for company: the first delivery is written at once, and the slower the disk, the larger the company.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import NamedTuple

from django.db import InterfaceError, OperationalError, connection

from saas import context
from saas.webhook_events import actions
from saas.webhook_events.actions import Receipt
from saas.webhook_events.deliveries import Delivery

MOST_TOGETHER = 256
MOST_BYTES_TOGETHER = 8 * 1024 * 1024


Outcome = Receipt | Exception  # what ``actions.receive`` returns or raises
Told = Callable[[Outcome], None]


class Order(NamedTuple):
    delivery: Delivery
    context: context.Context
    tell: Told


class Writer:
    """``executor`` is one thread: it has the one connection that this writes through."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._waiting: list[Order] = []
        self._is_writing = False

    def store(self, delivery: Delivery, request: context.Context, tell: Told) -> None:
        """``tell`` is called on the loop with the delivery's receipt, once it is committed, or with what went wrong."""
        self._waiting.append(Order(delivery, request, tell))
        if not self._is_writing:
            self._is_writing = True
            asyncio.get_running_loop().call_soon(self._hand_over)  # after what else came in this very moment

    def _hand_over(self) -> None:
        count = count_that_fits(self._waiting)
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        self._is_writing = bool(batch)
        if batch:
            written = asyncio.get_running_loop().run_in_executor(self._executor, write, batch)
            written.add_done_callback(lambda outcomes: self._answer(batch, outcomes))

    def _answer(self, batch: Sequence[Order], written: "asyncio.Future[list[Outcome]]") -> None:
        self._hand_over()
        for order, outcome in zip(batch, written.result(), strict=True):
            order.tell(outcome)

    def close(self) -> None:
        """After the last answer."""
        self._executor.submit(lambda: connection.close())  # that thread's: each has its own
        self._executor.shutdown()


def count_that_fits(orders: Sequence[Order]) -> int:
    """How many of them, from the first on, one statement may hold."""
    size = 0
    for count, order in enumerate(orders[:MOST_TOGETHER]):
        size += len(order.delivery.body)
        if count and size > MOST_BYTES_TOGETHER:
            return count
    return min(len(orders), MOST_TOGETHER)


def write(batch: Sequence[Order]) -> list[Outcome]:
    """What became of each: one that the database does not take does not fail the others."""
    try:
        with context.entered(batch[0].context):
            return [*_received([order.delivery for order in batch])]
    except (OperationalError, InterfaceError) as error:
        return [error] * len(batch)
    except Exception as error:
        if len(batch) == 1:
            return [error]
        return [outcome for order in batch for outcome in write([order])]


def _received(deliveries: Sequence[Delivery]) -> list[Receipt]:
    """A connection that has died shows only when it is used: then once more, on a new one. Storing twice is storing once."""
    try:
        return actions.receive(deliveries)
    except (OperationalError, InterfaceError):
        if connection.is_usable():
            raise
        connection.close()
        return actions.receive(deliveries)
