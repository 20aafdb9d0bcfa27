"""PostgreSQL's own programs for copying a database, and how they reach ours."""

import os
import shutil
from pathlib import Path

from django.db import connection


class DumpUnavailable(Exception):
    """Says in a sentence what is missing."""


def postgres_environment() -> dict[str, str]:
    """The environment in which PostgreSQL's programs reach our database: a password on a command line is everybody's."""
    if connection.vendor != "postgresql":
        raise DumpUnavailable(
            "Only PostgreSQL is copied so: set DATABASE_URL. (SQLite is a file: copy it with `.backup`.)"
        )
    ours = connection.settings_dict
    told = {
        "PGHOST": ours["HOST"],
        "PGPORT": str(ours["PORT"] or ""),
        "PGUSER": ours["USER"],
        "PGPASSWORD": ours["PASSWORD"],
        "PGDATABASE": ours["NAME"],
        "PGSSLMODE": ours["OPTIONS"].get("sslmode", ""),
    }
    return {**os.environ, **{name: value for name, value in told.items() if value}}


def postgres_program(name: str) -> str:
    """The newest that is installed: an older pg_dump refuses a newer server."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    found = str(installed[-1]) if installed else shutil.which(name)
    if found is None:
        raise DumpUnavailable(f"{name} is missing: install PostgreSQL's client programs.")
    return found
