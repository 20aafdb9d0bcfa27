"""pg_dump and pg_restore: their paths, and the environment in which they connect to our database."""

import os
import shutil
import sys
from pathlib import Path

from django.db import OperationalError, connection
from psycopg.pq import Conninfo

VERSIONS_FOLDER = Path("/usr/lib/postgresql")  # of Debian and Ubuntu: a folder for each version


class DumpUnavailable(Exception):
    """Its message says what is missing."""


def postgres_environment() -> dict[str, str]:
    """Return an environment in which PostgreSQL's programs connect to our database: all users can read command lines."""
    if connection.vendor != "postgresql":
        raise DumpUnavailable(
            "Only PostgreSQL is copied so: set DATABASE_URL. (SQLite is a file: copy it with `.backup`.)"
        )
    given = connection.get_connection_params()
    named = {known.envvar.decode(): known.keyword.decode() for known in Conninfo.get_defaults() if known.envvar}
    return {**os.environ, **{name: str(given[keyword]) for name, keyword in named.items() if given.get(keyword)}}


def server_version() -> int:
    """Return the major version of our database's server."""
    try:
        connection.ensure_connection()
    except OperationalError as error:
        raise DumpUnavailable(f"The database does not answer: {error}".strip()) from error
    return int(connection.pg_version) // 10_000  # type: ignore[attr-defined]  # PostgreSQL's alone has it


def postgres_program(name: str, server: int = sys.maxsize) -> str:
    """Return the path of the program of the version ``server``, else of the next one installed, else of the newest.

    An older pg_dump refuses a newer server, and a newer one writes what an older server does not understand.
    """
    installed = sorted(VERSIONS_FOLDER.glob(f"*/bin/{name}"), key=_version)
    fitting = [path for path in installed if _version(path) >= server]
    found = str((fitting or installed[-1:])[0]) if installed else shutil.which(name)
    if found is None:
        raise DumpUnavailable(f"{name} is missing: install PostgreSQL's client programs.")
    return found


def _version(program: Path) -> int:
    return int(program.parts[-3])
