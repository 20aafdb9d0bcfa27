"""Empty the database after a test that commits, in fewer steps than Django's ``flush``: a pytest plugin.

``flush`` truncates every table, which gives each of them and of their indexes a new file, and then makes the content types
and permissions of every app again. Here rows are deleted, which is faster for the few that a test leaves, and those two
tables keep what the migrations put there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

AUDIT_TABLES = ("audit_auditevent", "audit_auditseal")  # their triggers refuse to be emptied
DEPLOYED_TABLES = ("django_content_type", "auth_permission")


@pytest.fixture(scope="session", autouse=True)
def _emptied_between_tests() -> Iterator[None]:
    """Replace ``flush`` where Django calls it after a test that commits, and only there."""
    from django.core.management.commands import flush

    flush_all: Callable[..., None] = flush.Command.handle
    deployed: list[Any] = []

    def handle(command: object, **options: Any) -> None:
        if deployed and _deployed_rows() == deployed:
            with _without_audit_triggers():
                _delete_rows()
            return
        with _without_audit_triggers():
            flush_all(command, **options)
        deployed[:] = _deployed_rows()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush.Command, "handle", handle)
        yield


def _deployed_rows() -> list[Any]:
    """What a migration leaves behind. A test that changed it is followed by Django's own ``flush``."""
    from django.db import connection

    with connection.cursor() as cursor:
        found = []
        for table in DEPLOYED_TABLES:
            cursor.execute(f"SELECT * FROM {table} ORDER BY id")
            found += cursor.fetchall()
    return found


def _delete_rows() -> None:
    """In one transaction: references between rows are checked at its end, so the tables come in any order."""
    from django.db import connection, transaction

    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    with transaction.atomic(), connection.cursor() as cursor:
        for table in set(tables) - set(DEPLOYED_TABLES):
            cursor.execute(f"DELETE FROM {table}")


@contextmanager
def _without_audit_triggers() -> Iterator[None]:
    _alter_audit_triggers("DISABLE")
    try:
        yield
    finally:
        _alter_audit_triggers("ENABLE")


def _alter_audit_triggers(state: str) -> None:
    from django.db import connection

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for table in AUDIT_TABLES:
                cursor.execute(f"ALTER TABLE {table} {state} TRIGGER USER")
