"""Database connections of this thread after something irregular: thrown away, whatever Django believes of them."""

import logging
from contextlib import suppress

from django.db import Error, InterfaceError, InternalError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger(__name__)

# What says something of the connection and not of the query. An InternalError is, for one, a primary that has become a
# replica: it answers, and refuses each write, while another one has taken its name over.
CONNECTION_ERRORS = (OperationalError, InterfaceError, InternalError)


def discard_connections() -> None:
    """Hang up, and forget what Django's flags say: the next query connects anew.

    Never inside a transaction that somebody else has opened: what it did would be undone without a word.
    """
    for connection in connections.all(initialized_only=True):
        if _is_in_memory(connection):  # closing it would lose its tables
            continue
        with suppress(Error, OSError):
            connection.close()
        del connections[connection.alias]


def discard_irregular_connections() -> bool:
    """The same for connections that are not as they are between two tasks; tells whether there were any."""
    irregular = [connection for connection in connections.all(initialized_only=True) if not _is_regular(connection)]
    if irregular:
        told = {"aliases": [connection.alias for connection in irregular]}
        logger.error("database_connection_irregular", extra=told)
        discard_connections()
    return bool(irregular)


def is_in_transaction() -> bool:
    return any(connection.in_atomic_block for connection in connections.all(initialized_only=True))


def _is_regular(connection: BaseDatabaseWrapper) -> bool:
    """Outside of any transaction, and committing by itself if it is open."""
    if connection.in_atomic_block or connection.closed_in_transaction:
        return False
    return connection.connection is None or connection.autocommit == connection.settings_dict["AUTOCOMMIT"]


def _is_in_memory(connection: BaseDatabaseWrapper) -> bool:
    is_in_memory = getattr(connection, "is_in_memory_db", None)
    return bool(is_in_memory and is_in_memory())
