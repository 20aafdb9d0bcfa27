"""Group commit: deliveries that arrive while a write is running join the next batch.

The first delivery is written at once. The slower the disk, the larger the batches.
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
from saas.webhook_events.event_storage import IncomingEvent

BATCH_SIZE = 256
BATCH_BYTES = 8 * 1024 * 1024

Connection = psycopg.AsyncConnection[Any]
Connect = Callable[[], Coroutine[Any, Any, Connection]]
# After these the connection can be used as before.
_ENDED_STATEMENT = (errors.QueryCanceled, errors.LockNotAvailable)
_REFUSED_ROW = (psycopg.DataError, psycopg.IntegrityError)
# These are not about a single row.
_DATABASE_ERRORS = (OperationalError, InterfaceError, InternalError)


class AnswerTimeout(psycopg.OperationalError):
    """The server has not answered in time. Whether the statement was executed is not known."""


class PendingDelivery(NamedTuple):
    """``outcome`` gets whether the event was new, once it is committed, or the error."""

    delivery: IncomingEvent
    context: request_context.Context
    outcome: "asyncio.Future[bool]"

    def resolve(self, outcome: bool | Exception) -> None:
        if self.outcome.done():  # the client has disconnected
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
        self._connection: Connection | None = None
        self._waiting: list[PendingDelivery] = []
        self._writing: asyncio.Task[None] | None = None

    async def store(self, delivery: IncomingEvent, context: request_context.Context) -> bool:
        """Return whether ``delivery`` was new, once it is committed. Of a repeat nothing is stored.

        Raises what ``django.db`` raises. After an ``OperationalError`` it may be stored or not; storing it again is safe.
        """
        outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(PendingDelivery(delivery, context, outcome))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())  # runs after the other deliveries of this moment
        return await outcome

    async def close(self) -> None:
        if self._connection:
            await self._connection.close()

    async def _write_all(self) -> None:
        while batch := self._next_batch():
            await self._write(batch)
            await asyncio.sleep(0)  # lets the loop read further deliveries: fewer and larger batches
        self._writing = None

    def _next_batch(self) -> list[PendingDelivery]:
        count = size = 0
        for pending in self._waiting[:BATCH_SIZE]:
            size += len(pending.delivery.body)
            if count and size > BATCH_BYTES:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _write(self, batch: Sequence[PendingDelivery]) -> None:
        """Resolve every delivery, whatever happens. A row that the database refuses fails alone."""
        try:
            are_new = await self._store(batch)
        except Exception as error:
            if len(batch) == 1 or isinstance(error, _DATABASE_ERRORS):
                for pending in batch:
                    pending.resolve(error)
            else:
                for pending in batch:
                    await self._write([pending])
            return
        for pending, is_new in zip(batch, are_new, strict=True):
            pending.resolve(is_new)

    async def _store(self, batch: Sequence[PendingDelivery]) -> list[bool]:
        """Return which of them were new."""
        deliveries = [pending.delivery for pending in batch]
        parameters = event_storage.insert_parameters(actions.new_events(deliveries))
        with self._with_django_errors:
            stored = await self._insert(parameters)
        are_new = actions.mark_new(deliveries, stored)
        if stored:
            with request_context.use_context(batch[0].context):
                new = [delivery for delivery, is_new in zip(deliveries, are_new, strict=True) if is_new]
                actions.record_committed(new, stored)
        return are_new

    async def _insert(self, parameters: event_storage.InsertParameters) -> dict[str, int]:
        """Return primary keys of new events.

        A connection that was lost, or leads to a server that is no longer the primary, fails only when it is used. The insert
        is then repeated on a new one, which is safe.
        """
        had_connection = self._connection is not None
        try:
            return await self._execute(parameters)
        except (psycopg.OperationalError, errors.ReadOnlySqlTransaction) as error:
            if not had_connection or isinstance(error, (*_ENDED_STATEMENT, AnswerTimeout)):
                raise
            return await self._execute(parameters)

    async def _execute(self, parameters: event_storage.InsertParameters) -> dict[str, int]:
        if self._connection is None:
            self._connection = await self._connect()
        connection = self._connection
        try:
            # A frozen server does not answer a request to cancel either: at the deadline the socket is closed.
            with Deadline(self._answer_seconds, before_interrupt=connection.pgconn.finish):
                may_prepare = connection.prepare_threshold is not None  # DATABASE_PREPARED_STATEMENTS
                cursor = await connection.execute(event_storage.INSERT_STATEMENT, parameters, prepare=may_prepare)
                return dict(await cursor.fetchall())
        except (*_ENDED_STATEMENT, *_REFUSED_ROW):
            raise
        except Exception as error:
            self._connection = None
            connection.pgconn.finish()
            if isinstance(error, TimeoutError):
                raise AnswerTimeout(f"no answer within {self._answer_seconds:.0f} s") from error
            raise
