"""A PostgreSQL connection that nobody waits for without end, that knows without asking whether it was hung up on, and that
tells its pool when the others will fare no better.

The server's own time limits say nothing while the network swallows its answers, or while the server is frozen: the thread
would wait until the kernel gives up, a quarter of an hour. So each wait is bounded here too, a little above the server's
limit (decision 110).
"""

import select
from collections.abc import Callable
from time import monotonic
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections
from psycopg.errors import ReadOnlySqlTransaction
from psycopg.pq import Format, TransactionStatus
from psycopg_pool import ConnectionPool

Pool = ConnectionPool[Any]

INVALIDATION_INTERVAL_SECONDS = 1.0


class PoolInvalidator:
    """What one connection finds out, and means for the others of its ``pool``."""

    def __init__(self, pool: Callable[[], Pool | None]) -> None:
        self._pool = pool
        self._renewed_at = float("-inf")

    def check_connections(self) -> None:
        """Throw away those that are dead. The pool would find them one by one, and after the second wait a second before
        the next: by then its caller has given up."""
        if pool := self._pool():
            pool.check()

    def invalidate_all(self) -> None:
        """Throw away all, those that are lent out when they come back: behind the name there may be another server by now.
        Once a second, so that a server in trouble is not asked for new sessions by every request that fails."""
        if monotonic() - self._renewed_at < INVALIDATION_INTERVAL_SECONDS:
            return
        self._renewed_at = monotonic()
        if pool := self._pool():
            pool.drain()


class TimeoutConnection(psycopg.Connection[Any]):
    """What it lacks is set on a subclass (:func:`bounded`), because the pool makes the connections."""

    answer_timeout_seconds: float
    pool_invalidator: PoolInvalidator

    def execute(self, query: Any, *args: Any, **options: Any) -> psycopg.Cursor[Any]:
        """The pool asks an empty question before it lends a connection. A server that ends a session says so: only then
        is the question worth its round trip."""
        if query == "":
            return self._proof_of_life()
        return super().execute(query, *args, **options)

    def _proof_of_life(self) -> psycopg.Cursor[Any]:
        try:
            return super().execute("") if self._has_something_to_read() else self.cursor()
        except psycopg.OperationalError:
            self.pool_invalidator.check_connections()  # what ended this session has likely ended the others
            raise

    def _has_something_to_read(self) -> bool:
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """``timeout`` is psycopg's own, where it waits for notifications; there nothing coming is no fault."""
        try:
            return super().wait(gen, interval, self.answer_timeout_seconds if timeout is None else timeout)
        except ReadOnlySqlTransaction:
            self.pool_invalidator.invalidate_all()
            raise
        except psycopg.OperationalError as error:
            if timeout is not None or not self._is_still_waiting():
                raise
            self.pgconn.finish()  # an answer that came later would be taken for the next question's
            self.pool_invalidator.invalidate_all()
            raise psycopg.OperationalError(f"no answer within {self.answer_timeout_seconds:.0f} s") from error

    def _is_still_waiting(self) -> bool:
        """For an answer: after one that is an error, or a connection that broke, libpq is not. (What psycopg raises when time
        is up has no public name but that it is an ``OperationalError``.)"""
        return self.pgconn.transaction_status == TransactionStatus.ACTIVE


def django_pool() -> Pool | None:
    """The one that Django lends this process's connections from."""
    pool: Pool | None = getattr(connections[DEFAULT_DB_ALIAS], "pool", None)
    return pool


def connection_class_with_timeout(
    seconds: float, pool: Callable[[], Pool | None] = django_pool
) -> type[TimeoutConnection]:
    """A class of connections that wait at most ``seconds`` for an answer, for one ``pool``."""
    return type(
        "TimeoutConnection",
        (TimeoutConnection,),
        {"answer_timeout_seconds": seconds, "pool_invalidator": PoolInvalidator(pool)},
    )


def is_database_unavailable(error: BaseException) -> bool:
    """Whether the database, and not what it was asked, is to blame, so that asking once more in a moment makes sense. A
    server that takes no writes (a standby, a primary that was stood down) is none for us. Django's errors and psycopg's."""
    if isinstance(error, OperationalError | InterfaceError | psycopg.OperationalError | psycopg.InterfaceError):
        return True
    return any(isinstance(one, ReadOnlySqlTransaction) for one in (error, error.__cause__))


# psycopg prepares no statement by itself on a connection with this threshold, but what asks for it.
PREPARE_ON_DEMAND = 2**31


class PreparedCursor(psycopg.Cursor[Any]):
    """Has the server plan a statement once for each connection: for a small insert, planning is half of the work.

    With ``DATABASE_PREPARED_STATEMENTS`` off it is an ordinary cursor.
    """

    def execute(self, query: Any, params: Any = None, **options: Any) -> "PreparedCursor":
        return super().execute(query, params, prepare=True, **options)


class BinaryCursor(psycopg.Cursor[Any]):
    """Is answered in the server's own form, of which bytes and times cost a fraction of what they cost as text."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        super().__init__(connection)
        self.format = Format.BINARY
