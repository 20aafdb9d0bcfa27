"""Discard this thread's database connections after an error, whatever state Django believes them to be in."""

import logging
from contextlib import suppress

from django.db import Error, InterfaceError, InternalError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger(__name__)

# Errors of the connection, not of the query. An InternalError is raised, for one, by a primary that became a replica: it
# refuses each write while another server has taken its name over.
CONNECTION_ERRORS = (OperationalError, InterfaceError, InternalError)


def discard_connections() -> None:
    """Close all connections and forget Django's flags: the next query connects again.

    Never inside a caller's transaction: its work would be lost silently.
    """
    for connection in connections.all(initialized_only=True):
        is_in_memory = getattr(connection, "is_in_memory_db", None)  # only SQLite's has it
        if is_in_memory and is_in_memory():  # closing it would delete its tables
            continue
        with suppress(Error, OSError):
            connection.close()
        del connections[connection.alias]


def discard_irregular_connections() -> bool:
    """Discard all connections if one is still in a transaction, or does not autocommit. Return whether there was one."""
    irregular = [connection for connection in connections.all(initialized_only=True) if not _is_regular(connection)]
    if irregular:
        aliases = [connection.alias for connection in irregular]
        logger.error("database_connection_irregular", extra={"aliases": aliases})
        discard_connections()
    return bool(irregular)


def is_in_transaction() -> bool:
    return any(connection.in_atomic_block for connection in connections.all(initialized_only=True))


def _is_regular(connection: BaseDatabaseWrapper) -> bool:
    """Outside of any transaction, and in autocommit if it is open."""
    if connection.in_atomic_block or connection.closed_in_transaction:
        return False
    return connection.connection is None or connection.autocommit == connection.settings_dict["AUTOCOMMIT"]
