"""Replicas that migrate when they start do so one after the other."""

from io import StringIO
from threading import Thread
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, connections

from saas.database.migration_lock import LOCK
from saas.testing.servers.stack import eventually

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def another_migration() -> "psycopg.Connection[Any]":
    """Ends with the block that uses it."""
    parameters = connection.get_connection_params()
    wanted = {name: value for name, value in parameters.items() if name not in {"cursor_factory", "context"}}
    other = psycopg.connect(**wanted)
    other.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    return other


def migrate(said: StringIO) -> None:
    try:
        call_command("migrate", verbosity=0, stderr=said)
        said.write("done")
    finally:
        connections.close_all()


def test_a_second_migration_waits_for_the_first() -> None:
    said = StringIO()
    with another_migration():
        second = Thread(target=migrate, args=[said], daemon=True)
        second.start()
        eventually(lambda: said.getvalue() == "Another migration is under way; waiting for it …\n")

    second.join(30)
    assert said.getvalue().endswith("\ndone")


def test_a_look_at_what_is_pending_waits_for_nobody() -> None:
    with another_migration():
        call_command("migrate", "--check", verbosity=0)
