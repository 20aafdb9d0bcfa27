"""Group commit: deliveries that arrive while a commit is under way are stored together by the next statement.

A delivery never waits for company: the first is written at once. The slower the disk, the larger the batches.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple

import psycopg
from django.db import InterfaceError, InternalError, OperationalError, connections
from psycopg import errors

from saas import request_context
from saas.server.deadline import Deadline
from saas.webhook_events import actions, event_storage
from saas.webhook_events.deliveries import Delivery

BATCH_SIZE = 256
BATCH_BYTES = 8 * 1024 * 1024

Connect = Callable[[], Coroutine[Any, Any, "psycopg.AsyncConnection[Any]"]]
# After these the connection is as good as before.
_ENDED_STATEMENT = (errors.QueryCanceled, errors.LockNotAvailable)
_REFUSED_ROW = (psycopg.DataError, psycopg.IntegrityError)
# These say nothing of a single row.
_OF_THE_DATABASE = (OperationalError, InterfaceError, InternalError)


class AnswerTimeout(psycopg.OperationalError):
    """The server has said nothing in time; what became of the statement is not known."""


class PendingDelivery(NamedTuple):
    """``outcome`` gets whether the event was new, once that is committed, or what went wrong."""

    delivery: Delivery
    context: request_context.Context
    outcome: "asyncio.Future[bool]"

    def resolve(self, outcome: bool | Exception) -> None:
        if self.outcome.done():  # who asked has left
            return
        if isinstance(outcome, Exception):
            self.outcome.set_exception(outcome)
        else:
            self.outcome.set_result(outcome)


class BatchWriter:
    """Writes through one connection of its own. Belongs to one event loop."""

    def __init__(self, connect: Connect, *, answer_seconds: float) -> None:
        """``answer_seconds`` bounds the wait for the server's answer; the server's own time limits should be shorter."""
        self._connect = connect
        self._answer_seconds = answer_seconds
        self._with_django_errors = connections["default"].wrap_database_errors
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._waiting: list[PendingDelivery] = []
        self._writing: asyncio.Task[None] | None = None

    async def store(self, delivery: Delivery, request: request_context.Context) -> bool:
        """Return once ``delivery`` is committed: whether it was new. Of a repeat nothing is stored. Raises what
        ``django.db`` raises; after an ``OperationalError`` it may be stored or not, and storing it again is safe."""
        outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(PendingDelivery(delivery, request, outcome))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())  # begins after what else arrived in this moment
        return await outcome

    async def close(self) -> None:
        if self._connection:
            await self._connection.close()

    async def _write_all(self) -> None:
        while batch := self._next_batch():
            await self._write(batch)
            await asyncio.sleep(0)  # what the loop has not read yet goes along: fewer and larger batches
        self._writing = None

    def _next_batch(self) -> list[PendingDelivery]:
        count = size = 0
        for order in self._waiting[:BATCH_SIZE]:
            size += len(order.delivery.body)
            if count and size > BATCH_BYTES:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _write(self, batch: Sequence[PendingDelivery]) -> None:
        """Every order gets its outcome, whatever happens. A row that the database refuses fails alone."""
        try:
            new = await self._stored(batch)
        except Exception as error:
            if len(batch) == 1 or isinstance(error, _OF_THE_DATABASE):
                for order in batch:
                    order.resolve(error)
            else:
                for order in batch:
                    await self._write([order])
            return
        for order, is_new in zip(batch, new, strict=True):
            order.resolve(is_new)

    async def _stored(self, batch: Sequence[PendingDelivery]) -> list[bool]:
        """Which of them were new. Of several deliveries of one event the first is."""
        deliveries = [order.delivery for order in batch]
        parameters = event_storage.insert_parameters(actions.new_events(deliveries))
        with self._with_django_errors:
            stored = await self._inserted(parameters)
        unseen = set(stored)
        new = [_is_first(delivery, unseen) for delivery in deliveries]
        if stored:
            with request_context.use_context(batch[0].context):
                actions.record_committed([one for one, is_new in zip(deliveries, new, strict=True) if is_new], stored)
        return new

    async def _inserted(self, parameters: event_storage.InsertParameters) -> dict[str, int]:
        """Primary keys of new events. A connection that has died, or leads to a primary that is none any more, shows only
        when it is used: then once more, on a new one. Storing twice is storing once."""
        had_connection = self._connection is not None
        try:
            return await self._executed(parameters)
        except (psycopg.OperationalError, errors.ReadOnlySqlTransaction) as error:
            if not had_connection or isinstance(error, (*_ENDED_STATEMENT, AnswerTimeout)):
                raise
            return await self._executed(parameters)

    async def _executed(self, parameters: event_storage.InsertParameters) -> dict[str, int]:
        if self._connection is None:
            self._connection = await self._connect()
        link = self._connection
        try:
            return await _answer(link, parameters, self._answer_seconds)
        except (*_ENDED_STATEMENT, *_REFUSED_ROW):
            raise
        except Exception:
            self._connection = None
            link.pgconn.finish()
            raise


async def _answer(
    link: "psycopg.AsyncConnection[Any]", parameters: event_storage.InsertParameters, seconds: float
) -> dict[str, int]:
    """A frozen server does not answer a request to cancel either: so the wait ends by closing the socket."""
    try:
        with Deadline(seconds, before_interrupt=link.pgconn.finish):
            return await _execute(link, parameters)
    except TimeoutError as error:
        raise AnswerTimeout(f"no answer within {seconds:.0f} s") from error


async def _execute(link: "psycopg.AsyncConnection[Any]", parameters: event_storage.InsertParameters) -> dict[str, int]:
    may_prepare = link.prepare_threshold is not None  # DATABASE_PREPARED_STATEMENTS
    cursor = await link.execute(event_storage.INSERT_STATEMENT, parameters, prepare=may_prepare)
    return dict(await cursor.fetchall())


def _is_first(delivery: Delivery, unseen: set[str]) -> bool:
    is_first = delivery.external_id in unseen
    unseen.discard(delivery.external_id)
    return is_first
