"""Gathers the deliveries that arrive while a commit is under way, and writes them in one statement after it.

Nobody waits for company: the first delivery is written at once, and the slower the disk, the larger the company.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import NamedTuple

from django.db import InterfaceError, OperationalError, connection
from psycopg.pq import Format

from saas import context
from saas.operations.nonblocking import LoopStatement, Rows, loop_statement
from saas.webhook_events import actions, storing
from saas.webhook_events.actions import Receipt
from saas.webhook_events.deliveries import Delivery

MOST_TOGETHER = 256
MOST_BYTES_TOGETHER = 8 * 1024 * 1024
_FORMATS = (Format.BINARY, Format.TEXT)


Outcome = Receipt | Exception  # what ``actions.receive`` returns or raises
Told = Callable[[Outcome], None]


class Order(NamedTuple):
    delivery: Delivery
    context: context.Context
    tell: Told


class Writer:
    """Has PostgreSQL store a batch without a thread, while all goes well: the loop sends it, and goes on taking deliveries
    in until the answer is there. Whatever else there is to do (connecting, repeats, what went wrong, SQLite) is done in
    ``executor``: one thread, which has the one connection that this writes through."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._waiting: list[Order] = []
        self._is_writing = False
        self._statement: LoopStatement | None = None

    def open(self) -> None:
        """Connect before the first delivery comes. A database that is away does not keep the service from starting."""
        self._is_writing = True
        self._do_in_thread(_connected, [])

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
        if not batch:
            return
        parameters = _parameters(batch) if self._statement else None
        if self._statement and parameters:
            self._statement.run(parameters, partial(self._stored, batch))
        else:
            self._do_in_thread(partial(write, batch), batch)

    def _stored(self, batch: Sequence[Order], rows: Rows | None) -> None:
        if rows is None:
            self._do_in_thread(partial(write, batch), batch)
            return
        stored = {external_id.decode(): int(pk) for external_id, pk in rows}
        if receipts := _noted_at_once(batch, stored):
            self._answer(batch, receipts)
        else:
            self._do_in_thread(partial(_noted, batch, stored), batch)

    def _do_in_thread(self, work: Callable[[], Sequence[Outcome]], batch: Sequence[Order]) -> None:
        def do() -> tuple[Sequence[Outcome], LoopStatement | None]:
            outcomes = work()
            return outcomes, loop_statement(connection, storing.STATEMENT, _FORMATS, self._statement)

        def done(doing: "asyncio.Future[tuple[Sequence[Outcome], LoopStatement | None]]") -> None:
            try:
                outcomes, self._statement = doing.result()
            except Exception as error:  # whatever it is, those who wait hear of it, and the next batch is written
                outcomes, self._statement = [error] * len(batch), None
            self._answer(batch, outcomes)

        asyncio.get_running_loop().run_in_executor(self._executor, do).add_done_callback(done)

    def _answer(self, batch: Sequence[Order], outcomes: Sequence[Outcome]) -> None:
        self._hand_over()
        for order, outcome in zip(batch, outcomes, strict=True):
            order.tell(outcome)

    def close(self) -> None:
        """After the last answer."""
        self._executor.submit(lambda: connection.close())  # that thread's: each has its own
        self._executor.shutdown()


def _connected() -> list[Outcome]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return []


def _parameters(batch: Sequence[Order]) -> list[bytes] | None:
    """None if that goes wrong: then the thread finds out for whom. Nothing may stop the loop from writing."""
    try:
        bodies, rows = storing.parameters(actions.new_rows([order.delivery for order in batch]))
        return [bodies, rows.encode()]
    except Exception:
        return None


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


def _noted_at_once(batch: Sequence[Order], stored: Mapping[str, int]) -> Sequence[Outcome] | None:
    """After the commit, on the loop; None if the database must be asked, and so a thread."""
    try:
        with context.entered(batch[0].context):
            return actions.note_committed([order.delivery for order in batch], stored)
    except Exception as error:
        return [error] * len(batch)


def _noted(batch: Sequence[Order], stored: Mapping[str, int]) -> Sequence[Outcome]:
    """After the commit: what there is to say of repeats and of what is no event."""
    try:
        with context.entered(batch[0].context):
            return actions.note_stored([order.delivery for order in batch], stored)
    except Exception as error:
        return [error] * len(batch)


def _received(deliveries: Sequence[Delivery]) -> list[Receipt]:
    """A connection that has died shows only when it is used: then once more, on a new one. Storing twice is storing once."""
    try:
        return actions.receive(deliveries)
    except (OperationalError, InterfaceError):
        if connection.is_usable():
            raise
        connection.close()
        return actions.receive(deliveries)
