"""Migrations run while the old code still serves: they add first, and take away only what no running code uses.

The rules hold for everything after 0.1.0, whose migrations meet an empty database.
"""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader

from saas.settings.engines import database_config

OURS = {"accounts", "audit", "billing", "mail", "operations", "teams", "webhook_events", *settings.MODULES}
# The last migration of each app in 0.1.0; an added module had none.
BASELINE = {"accounts": 12, "audit": 6, "billing": 12, "mail": 6, "operations": 4, "teams": 6, "webhook_events": 12}
TAKES_AWAY = (
    migrations.RenameField,
    migrations.RenameModel,
    migrations.RemoveField,
    migrations.DeleteModel,
    migrations.AlterModelTable,
)


def later_migrations() -> list[migrations.Migration]:
    loader = MigrationLoader(None, ignore_no_migrations=True)
    return [
        migration
        for (app, name), migration in sorted(loader.disk_migrations.items())
        if app in OURS and int(name[:4]) > BASELINE.get(app, 0)
    ]


def faults(migration: migrations.Migration) -> Iterator[str]:
    """``contract = "0.3.0"`` on a migration names the version since which no code uses what it takes away."""
    for operation in migration.operations:
        kind = type(operation).__name__
        if isinstance(operation, TAKES_AWAY) and not hasattr(migration, "contract"):
            yield f"{kind} breaks the code that still serves: take it away in a later version"
        if isinstance(operation, migrations.AddField) and not _may_be_left_out(operation.field):
            yield f"{kind} {operation.name}: rows of the old code lack it; give it null=True or a db_default"
        if isinstance(operation, migrations.AlterField) and not _may_be_left_out(operation.field):
            yield f"{kind} {operation.name}: say in two steps that a column may not be empty"
        if isinstance(operation, (migrations.RunPython, migrations.RunSQL)) and not operation.reversible:
            yield f"{kind} cannot be undone"


def _may_be_left_out(field: models.Field) -> bool:
    return field.null or field.many_to_many or field.db_default is not models.NOT_PROVIDED


def test_every_migration_is_safe_while_the_old_code_serves() -> None:
    assert {str(migration): list(faults(migration)) for migration in later_migrations()} == {
        str(migration): [] for migration in later_migrations()
    }


RISKY = {
    "a rename": migrations.RenameField("heartbeat", "at", "seen_at"),
    "a drop": migrations.RemoveField("heartbeat", "at"),
    "a dropped table": migrations.DeleteModel("Heartbeat"),
    "a column without default": migrations.AddField("heartbeat", "note", models.TextField()),
    "a default that only the new code knows": migrations.AddField("heartbeat", "note", models.TextField(default="")),
    "not null at once": migrations.AlterField("heartbeat", "at", models.DateTimeField()),
    "no way back": migrations.RunPython(migrations.RunPython.noop),
}
SAFE = {
    "an empty column": migrations.AddField("heartbeat", "note", models.TextField(null=True)),
    "a default of the database's": migrations.AddField("heartbeat", "note", models.TextField(db_default="")),
    "a new table": migrations.CreateModel("Other", [("id", models.BigAutoField(primary_key=True))]),
    "a way back": migrations.RunPython(migrations.RunPython.noop, migrations.RunPython.noop),
}


def one(operation: object, **more: str) -> migrations.Migration:
    return type("Migration", (migrations.Migration,), {"operations": [operation], **more})("0099_x", "operations")


@pytest.mark.parametrize("kind", RISKY)
def test_a_risky_step_is_seen(kind: str) -> None:
    assert len(list(faults(one(RISKY[kind])))) == 1


@pytest.mark.parametrize("kind", SAFE)
def test_a_safe_step_is_let_through(kind: str) -> None:
    assert list(faults(one(SAFE[kind]))) == []


def test_what_no_running_code_uses_may_go() -> None:
    assert list(faults(one(RISKY["a drop"], contract="0.3.0"))) == []


@pytest.mark.parametrize("process", ["service", "worker", "command"])
def test_nobody_waits_longer_than_a_second_for_a_lock(process: str, tmp_path) -> None:
    limit = {"service": 3000, "worker": 15000, "command": 0}[process]

    options = database_config(
        "postgres://app@db/saas",
        tmp_path,
        pool_size=8,
        may_prepare=True,
        statement_timeout_ms=limit,
        is_service=process == "service",
    )["OPTIONS"]

    assert "-c lock_timeout=1000" in options["options"]
    assert f"-c statement_timeout={limit}" in options["options"]
    assert ("connection_class" in options["pool"]) == bool(limit)
