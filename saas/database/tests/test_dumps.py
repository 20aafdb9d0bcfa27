"""Copies: where PostgreSQL's programs connect to, and that what was interrupted is not taken for a copy."""

import os
import signal
import stat
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from saas.database import dumps
from saas.database.dumps import postgres_environment, postgres_program
from saas.management.commands import backup

pytestmark = [pytest.mark.postgres, pytest.mark.django_db]


@pytest.fixture
def pg_dump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program to write, which runs in the place of pg_dump."""
    program = tmp_path / "pg_dump"
    program.touch(mode=0o700)
    monkeypatch.setattr(backup, "postgres_program", lambda name, *_: str(tmp_path / name))
    return program


def test_they_connect_as_the_services_do(monkeypatch: pytest.MonkeyPatch) -> None:
    verified = {
        "sslmode": "verify-full",
        "sslrootcert": "/etc/ca.pem",
        "sslcert": "/etc/us.pem",
        "sslkey": "/etc/us.key",
    }
    for name, value in verified.items():
        monkeypatch.setitem(connection.settings_dict["OPTIONS"], name, value)

    variables = postgres_environment()

    assert {name: variables[f"PG{name.upper()}"] for name in verified} == verified
    assert (variables["PGDATABASE"], variables["PATH"]) == (connection.settings_dict["NAME"], os.environ["PATH"])


@pytest.mark.parametrize(("server", "chosen"), [(15, "15"), (16, "17"), (18, "17"), (9, "13")])
def test_a_program_is_of_the_servers_version_else_of_the_next_one(
    server: int, chosen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dumps, "VERSIONS_FOLDER", tmp_path)
    for version in ("13", "15", "17"):
        (tmp_path / version / "bin").mkdir(parents=True)
        (tmp_path / version / "bin/pg_restore").touch()

    assert postgres_program("pg_restore", server) == str(tmp_path / chosen / "bin/pg_restore")


def test_a_copy_appears_when_it_is_whole(pg_dump: Path, tmp_path: Path) -> None:
    pg_dump.write_text(f"#!/bin/sh\nls {tmp_path}\n")

    call_command("backup", str(tmp_path / "today.dump"), stdout=StringIO())

    copy = tmp_path / "today.dump"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"pg_dump", "today.dump"}
    assert "today.dump\n" not in copy.read_text()  # not while it was being written


@pytest.mark.parametrize(
    ("number", "raised"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit), (signal.SIGHUP, SystemExit)],
)
def test_what_was_interrupted_leaves_nothing_behind(
    number: signal.Signals, raised: type[BaseException], pg_dump: Path, tmp_path: Path
) -> None:
    pg_dump.write_text(f"#!/bin/sh\necho half\nkill -{int(number)} $PPID\nsleep 5\n")
    before = signal.getsignal(number)

    with pytest.raises(raised):
        call_command("backup", str(tmp_path / "today.dump"), stdout=StringIO())

    assert [path.name for path in tmp_path.iterdir()] == ["pg_dump"]
    assert signal.getsignal(number) is before


def test_a_pg_dump_that_fails_leaves_nothing_behind(pg_dump: Path, tmp_path: Path) -> None:
    pg_dump.write_text("#!/bin/sh\necho half\nexit 1\n")

    with pytest.raises(CommandError, match="nothing was kept"):
        call_command("backup", str(tmp_path / "today.dump"), stdout=StringIO())

    assert [path.name for path in tmp_path.iterdir()] == ["pg_dump"]


def test_what_somebody_else_wrote_meanwhile_stays_as_it_is(pg_dump: Path, tmp_path: Path) -> None:
    pg_dump.write_text(f"#!/bin/sh\necho kept > {tmp_path}/today.dump\n")

    with pytest.raises(CommandError, match="cannot be made: File exists"):
        call_command("backup", str(tmp_path / "today.dump"), stdout=StringIO())

    assert (tmp_path / "today.dump").read_text() == "kept\n"
    assert {path.name for path in tmp_path.iterdir()} == {"pg_dump", "today.dump"}


def test_a_copy_that_is_there_stays_as_it_is(pg_dump: Path, tmp_path: Path) -> None:
    (tmp_path / "today.dump").write_text("kept")

    with pytest.raises(CommandError, match="is there already"):
        call_command("backup", str(tmp_path / "today.dump"), stdout=StringIO())

    assert (tmp_path / "today.dump").read_text() == "kept"
