"""One statement that an event loop has PostgreSQL run by itself: no thread waits for the answer.

A thread that waits must be woken, and takes turns with the loop for the interpreter: for a small statement that costs more
than the statement. The connection stays Django's, which opens and closes it in a thread; here only the statement is sent
and the answer read, by libpq's functions for that (https://www.postgresql.org/docs/current/libpq-async.html).
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import pq

Rows = list[tuple[bytes, ...]]  # every value as text
LONGEST_SECONDS = 60.0  # where the connection says nothing of it
LOOK_SECONDS = 0.25
_numbers = count()


class LoopStatement:
    """``sql`` numbers its parameters ($1, $2); each is bytes: the binary form where ``formats`` says so, else text.

    Nobody else may use the connection between ``run`` and its answer.
    """

    def __init__(self, connection: psycopg.Connection[Any], sql: bytes, formats: Sequence[pq.Format]) -> None:
        """Asks the server to plan the statement, and waits for that. Raises ``psycopg.Error``."""
        self.connection = connection
        self._libpq = connection.pgconn
        self._wait_seconds = getattr(connection, "wait_seconds", LONGEST_SECONDS)  # a BoundedConnection's
        self._formats = formats
        self._name = b"loop_statement_%d" % next(_numbers)
        prepared = self._libpq.prepare(self._name, sql)
        if prepared.status != pq.ExecStatus.COMMAND_OK:
            raise psycopg.OperationalError(prepared.get_error_message())
        self._result: Any = None

    def run(self, parameters: Sequence[bytes], tell: Callable[[Rows | None], None]) -> None:
        """Call ``tell`` on the running loop with the rows, or with None if anything went wrong: then a thread may ask Django
        again, and hears what it is. Whether the statement was executed is not known."""
        self._loop, self._tell, self._result = asyncio.get_running_loop(), tell, None
        try:
            self._libpq.send_query_prepared(self._name, parameters, self._formats)
            self._socket = self._libpq.socket
        except psycopg.Error:
            self._loop.call_soon(tell, None)
            return
        self._until = self._loop.time() + self._wait_seconds
        self._timer = self._loop.call_later(LOOK_SECONDS, self._look)
        self._loop.add_reader(self._socket, self._read)
        self._send()

    def _send(self) -> None:
        """What does not fit into the socket's buffer goes once there is room."""
        try:
            is_more = self._libpq.flush()
        except psycopg.Error:
            self._hang_up()
            return
        if self._has_lost_its_socket():
            self._hang_up()
        elif is_more:
            self._loop.add_writer(self._socket, self._send)
        else:
            self._loop.remove_writer(self._socket)

    def _look(self) -> None:
        """Now and then, for an answer that takes long: a server that has gone may have left nothing for the loop to hear."""
        if self._loop.time() > self._until:
            self._hang_up()
            return
        self._timer = self._loop.call_later(LOOK_SECONDS, self._look)
        self._read()

    def _read(self) -> None:
        try:
            self._libpq.consume_input()
            while not self._libpq.is_busy():
                if (result := self._libpq.get_result()) is None:
                    self._end(_rows(self._result))
                    return
                if _ends_the_session(result):
                    self._hang_up()
                    return
                self._result = result
        except psycopg.Error:
            self._hang_up()
            return
        if self._has_lost_its_socket():
            self._hang_up()

    def _has_lost_its_socket(self) -> bool:
        """libpq closes it as soon as it sees the end, and says so later: the loop would hear nothing any more."""
        return bool(self._libpq.status != pq.ConnStatus.OK)

    def _end(self, rows: Rows | None) -> None:
        self._stop_listening()
        self._tell(rows)

    def _hang_up(self) -> None:
        """Nothing good can come any more: a late answer would be taken for the next question's, and whoever asked on a
        session that has ended would wait for one. Django opens another connection."""
        self._stop_listening()
        self._libpq.finish()
        self._tell(None)

    def _stop_listening(self) -> None:
        self._timer.cancel()
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)


def loop_statement(
    wrapper: BaseDatabaseWrapper, sql: str, formats: Sequence[pq.Format], known: LoopStatement | None = None
) -> LoopStatement | None:
    """``sql``, with Django's placeholders, on the connection that this thread has open; ``known`` if it is on that already.
    None where it cannot be: on SQLite, while queries are logged, without a connection, where statements are not prepared."""
    connection = wrapper.connection
    if not isinstance(connection, psycopg.Connection) or connection.closed or wrapper.queries_logged:
        return None
    if connection.prepare_threshold is None or _would_begin(connection):
        return None
    if known and known.connection is connection:
        return known
    try:
        return LoopStatement(connection, _numbered(sql), formats)
    except psycopg.Error:
        return None


def _would_begin(connection: "psycopg.Connection[Any]") -> bool:
    """psycopg begins a transaction with the first statement, and libpq knows nothing of it: ours would commit by itself."""
    return not connection.autocommit and connection.info.transaction_status == pq.TransactionStatus.IDLE


def _numbered(sql: str) -> bytes:
    first, *others = sql.split("%s")
    return "".join([first, *(f"${number}{part}" for number, part in enumerate(others, 1))]).encode()


def _ends_the_session(result: Any) -> bool:
    return result.error_field(pq.DiagnosticField.SEVERITY_NONLOCALIZED) in {b"FATAL", b"PANIC"}


def _rows(result: Any) -> Rows | None:
    if result is None or result.status != pq.ExecStatus.TUPLES_OK:
        return None
    columns = range(result.nfields)
    return [tuple(result.get_value(row, column) for column in columns) for row in range(result.ntuples)]
