"""PostgreSQL connections with a client-side timeout, a pre-ping without a round trip, and invalidation of their pool.

The server's own time limits do not help while the network loses its answers, or while the server is frozen: a thread would
wait until the kernel gives up, a quarter of an hour. So each wait has a timeout here, too, a little above the server's limit
(decision 110).
"""

import select
from collections.abc import Callable
from time import monotonic
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.errors import ReadOnlySqlTransaction
from psycopg.pq import Format, TransactionStatus
from psycopg_pool import ConnectionPool

Pool = ConnectionPool[Any]

INVALIDATION_INTERVAL_SECONDS = 1.0


class PoolInvalidator:
    """Removes connections of ``pool`` after one of them has failed."""

    def __init__(self, pool: Callable[[], Pool | None]) -> None:
        self._pool = pool
        self._invalidated_at = float("-inf")

    def check_connections(self) -> None:
        """Remove dead connections. The pool itself would find them one by one, with a growing pause between the attempts."""
        if pool := self._pool():
            pool.check()

    def invalidate_all(self) -> None:
        """Remove all connections, those in use when they are returned: behind the host name there may be another server now.

        At most once in ``INVALIDATION_INTERVAL_SECONDS``, so that failing requests do not flood a server with new sessions.
        """
        if monotonic() - self._invalidated_at < INVALIDATION_INTERVAL_SECONDS:
            return
        self._invalidated_at = monotonic()
        if pool := self._pool():
            pool.drain()


class TimeoutConnection(psycopg.Connection[Any]):
    """The pool makes the connections, so the class attributes are set on a subclass: :func:`connection_class_with_timeout`."""

    answer_timeout_seconds: float
    pool_invalidator: PoolInvalidator

    def execute(self, query: Any, *args: Any, **options: Any) -> psycopg.Cursor[Any]:
        """Replace the empty query by which the pool tests a connection: a server that ends a session sends a message, so the
        round trip is made only where there is something to read."""
        if query == "":
            return self._pre_ping()
        return super().execute(query, *args, **options)

    def _pre_ping(self) -> psycopg.Cursor[Any]:
        try:
            return super().execute("") if self._has_something_to_read() else self.cursor()
        except psycopg.OperationalError:
            self.pool_invalidator.check_connections()  # what ended this session has probably ended the others
            raise

    def _has_something_to_read(self) -> bool:
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Raise ``psycopg.OperationalError`` and close after ``answer_timeout_seconds``.

        ``timeout`` is set where psycopg waits for notifications; there an elapsed time is no error.
        """
        try:
            return super().wait(gen, interval, self.answer_timeout_seconds if timeout is None else timeout)
        except ReadOnlySqlTransaction:
            self.pool_invalidator.invalidate_all()
            raise
        except psycopg.OperationalError as error:
            # After an error or a broken connection libpq is not active; psycopg's exception for a timeout has no public name.
            is_still_waiting = self.pgconn.transaction_status == TransactionStatus.ACTIVE
            if timeout is not None or not is_still_waiting:
                raise
            self.pgconn.finish()  # a late answer would be taken for the next query's
            self.pool_invalidator.invalidate_all()
            raise psycopg.OperationalError(f"no answer within {self.answer_timeout_seconds:.0f} s") from error


def django_pool() -> Pool | None:
    """Return Django's connection pool of this process, if it has one."""
    pool: Pool | None = getattr(connections[DEFAULT_DB_ALIAS], "pool", None)
    return pool


def connection_class_with_timeout(
    seconds: float, pool: Callable[[], Pool | None] = django_pool
) -> type[TimeoutConnection]:
    """Return a connection class that waits at most ``seconds`` for an answer, for one ``pool``."""
    return type(
        "TimeoutConnection",
        (TimeoutConnection,),
        {"answer_timeout_seconds": seconds, "pool_invalidator": PoolInvalidator(pool)},
    )


def is_database_unavailable(error: BaseException) -> bool:
    """Whether the database is the cause, not the query, so that a retry makes sense. Takes Django's errors and psycopg's.

    A server that refuses writes (a standby, a demoted primary) counts as unavailable.
    """
    if isinstance(error, OperationalError | InterfaceError | psycopg.OperationalError | psycopg.InterfaceError):
        return True
    return any(isinstance(one, ReadOnlySqlTransaction) for one in (error, error.__cause__))


# On a connection with this threshold psycopg prepares only statements that ask for it.
PREPARE_ON_DEMAND = 2**31


class PreparedCursor(psycopg.Cursor[Any]):
    """Prepares its statements: planned once per connection. For a small insert, planning is half of the work.

    With ``DATABASE_PREPARED_STATEMENTS`` off it is an ordinary cursor.
    """

    def execute(self, query: Any, params: Any = None, **options: Any) -> "PreparedCursor":
        return super().execute(query, params, prepare=True, **options)


class UnparsedJsonbLoader(Loader):
    """Hands JSON on as text, in the binary format too: Django's field parses it."""

    format = Format.BINARY

    def load(self, data: Buffer) -> str:
        return bytes(data)[1:].decode()  # the first byte is the format's version


class BinaryCursor(psycopg.Cursor[Any]):
    """Receives results in the binary format: bytes and times cost a fraction of what they cost as text."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        super().__init__(connection)
        self.format = Format.BINARY
        self.adapters.register_loader("jsonb", UnparsedJsonbLoader)
