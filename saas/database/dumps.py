"""pg_dump and pg_restore: their paths, and the environment in which they connect to our database."""

import os
import shutil
from pathlib import Path

from django.db import connection


class DumpUnavailable(Exception):
    """Its message says what is missing."""


def postgres_environment() -> dict[str, str]:
    """Return an environment in which PostgreSQL's programs connect to our database: all users can read command lines."""
    if connection.vendor != "postgresql":
        raise DumpUnavailable(
            "Only PostgreSQL is copied so: set DATABASE_URL. (SQLite is a file: copy it with `.backup`.)"
        )
    ours = connection.settings_dict
    variables = {
        "PGHOST": ours["HOST"],
        "PGPORT": str(ours["PORT"] or ""),
        "PGUSER": ours["USER"],
        "PGPASSWORD": ours["PASSWORD"],
        "PGDATABASE": ours["NAME"],
        "PGSSLMODE": ours["OPTIONS"].get("sslmode", ""),
    }
    return {**os.environ, **{name: value for name, value in variables.items() if value}}


def postgres_program(name: str) -> str:
    """Return the path of the newest version installed: an older pg_dump refuses a newer server."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    found = str(installed[-1]) if installed else shutil.which(name)
    if found is None:
        raise DumpUnavailable(f"{name} is missing: install PostgreSQL's client programs.")
    return found
