"""A PostgreSQL connection that nobody waits for without end, and that knows without asking whether it was hung up on.

The server's own time limits say nothing while the network swallows its answers: the thread would wait until the kernel
gives up, a quarter of an hour. So each wait is bounded here too, a little above the server's limit.
"""

import select
from typing import Any

import psycopg
from psycopg.errors import _WaitTimeout
from psycopg.pq import Format


class BoundedConnection(psycopg.Connection[Any]):
    """``wait_seconds`` is set on a subclass (:func:`bounded`), because the pool makes the connections."""

    wait_seconds: float

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
            # What ended this session has likely ended the others. The pool would find them one by one, and after the second
            # wait a second before the next: by then its caller has given up.
            if pool := getattr(self, "_pool", None):
                pool.check()
            raise

    def _has_something_to_read(self) -> bool:
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return super().wait(gen, interval=interval, timeout=timeout or self.wait_seconds)
        except _WaitTimeout as error:
            if timeout is not None:
                raise
            self.pgconn.finish()  # an answer that came later would be taken for the next question's
            raise psycopg.OperationalError(f"no answer within {self.wait_seconds:.0f} s") from error


def bounded(seconds: float) -> type[BoundedConnection]:
    """A class of connections that wait at most ``seconds`` for an answer."""
    return type("BoundedConnection", (BoundedConnection,), {"wait_seconds": seconds})


# psycopg prepares no statement by itself on a connection with this threshold, but what asks for it.
ONLY_ON_DEMAND = 2**31


class PreparingCursor(psycopg.Cursor[Any]):
    """Has the server plan a statement once for each connection: for a small insert, planning is half of the work.

    With ``DATABASE_PREPARED_STATEMENTS`` off it is an ordinary cursor.
    """

    def execute(self, query: Any, params: Any = None, **options: Any) -> "PreparingCursor":
        return super().execute(query, params, prepare=True, **options)


class BinaryCursor(psycopg.Cursor[Any]):
    """Is answered in the server's own form, of which bytes and times cost a fraction of what they cost as text."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        super().__init__(connection)
        self.format = Format.BINARY
