"""Databases as other people's servers and administrators make them."""

import secrets
import subprocess
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from psycopg import sql

from saas.testing.servers.engines import connection_parameters
from saas.tests.processes.test_settings import managed

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

ASCII = "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"


@pytest.fixture
def superuser(db: None) -> "Iterator[psycopg.Connection[Any]]":
    with psycopg.connect(**connection_parameters(), autocommit=True) as link:
        yield link


@pytest.fixture
def name(superuser: "psycopg.Connection[Any]") -> Iterator[str]:
    """A name for a database and its owner, who is no superuser."""
    made = f"other_{secrets.token_hex(4)}"
    superuser.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(made), sql.Literal(made)))
    yield made
    superuser.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(made)))
    superuser.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(made)))


def make_database(superuser: "psycopg.Connection[Any]", name: str, options: str = "") -> None:
    statement = sql.SQL("CREATE DATABASE {0} OWNER {0} " + options)  # type: ignore[arg-type]  # our own
    superuser.execute(statement.format(sql.Identifier(name)))


def manage(name: str, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    where = connection_parameters()
    url = f"postgres://{name}:{name}@{where['host']}:{where.get('port', 5432)}/{name}"
    return managed(folder, *arguments, SAAS_ENV="test", DATABASE_URL=url)


def test_migrate_refuses_a_database_that_lacks_most_characters(superuser: Any, name: str, tmp_path: Path) -> None:
    make_database(superuser, name, ASCII)

    told = manage(name, tmp_path, "migrate")

    assert told.returncode == 1
    assert "(saas.E002) The database is encoded in SQL_ASCII" in told.stderr


def test_a_backup_is_restored_where_a_superuser_has_made_the_extension(
    superuser: Any, name: str, tmp_path: Path
) -> None:
    make_database(superuser, name)
    with psycopg.connect(**{**connection_parameters(), "dbname": name}, autocommit=True) as link:
        link.execute("CREATE EXTENSION pg_trgm")
    call_command("backup", str(tmp_path / "saas.dump"), stdout=StringIO())

    told = manage(name, tmp_path, "restore", str(tmp_path / "saas.dump"))

    assert told.returncode == 0, told.stderr
    assert "Restored." in told.stdout
