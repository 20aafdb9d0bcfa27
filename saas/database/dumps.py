"""pg_dump and pg_restore: their paths, and the environment in which they connect to our database."""

import os
import shutil
from pathlib import Path

from django.db import connection
from psycopg.pq import Conninfo


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


def postgres_program(name: str) -> str:
    """Return the path of the newest version installed: an older pg_dump refuses a newer server."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    found = str(installed[-1]) if installed else shutil.which(name)
    if found is None:
        raise DumpUnavailable(f"{name} is missing: install PostgreSQL's client programs.")
    return found
