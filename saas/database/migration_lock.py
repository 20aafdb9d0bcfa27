"""One migration at a time: replicas that migrate when they start would otherwise make the same tables."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connections

LOCK = 7_215_240_718  # of this database; any number that nothing else takes


@contextmanager
def migration_lock(alias: str, say: Callable[[str], object]) -> Iterator[None]:
    """Hold the lock of the database ``alias`` for as long as the block runs; if another holds it, ``say`` so and wait.

    It belongs to a transaction of a connection of its own, so PgBouncer cannot lose it, and it ends with this process.
    """
    connection = connections[alias]
    if connection.vendor != "postgresql":  # in development one `up` migrates
        yield
        return
    with connection.wrap_database_errors, _waiting_connection(connection.get_connection_params()) as holder:
        (is_free,) = holder.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK]).fetchone() or (False,)
        if not is_free:
            say("Another migration is under way; waiting for it …")
            holder.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        yield


def _waiting_connection(parameters: dict[str, Any]) -> "psycopg.Connection[Any]":
    """A connection whose transaction may wait, and be idle, for as long as a migration takes."""
    wanted = {name: value for name, value in parameters.items() if name not in {"cursor_factory", "context"}}
    holder = psycopg.connect(**wanted)
    holder.execute(
        "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
    )
    return holder
