"""The audit trail is append-only: for the models, and on PostgreSQL for SQL, too (T54)."""

import pytest
from django.core.checks import run_checks
from django.db import DatabaseError, connection, transaction

from saas.audit.actions import record
from saas.audit.models import AuditEvent

TABLES = ["audit_auditevent", "audit_auditseal"]


@pytest.fixture
def event(db):
    record("test.written")
    return AuditEvent.objects.get()


@pytest.fixture
def runtime_role(db):
    """A role as operations.md has it: adds and reads."""
    with connection.cursor() as cursor:
        cursor.execute("DROP ROLE IF EXISTS saas_runtime_test")
        cursor.execute("CREATE ROLE saas_runtime_test")
        cursor.execute("GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO saas_runtime_test")
        cursor.execute("SET LOCAL ROLE saas_runtime_test")
    yield
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")


def test_the_models_refuse_to_change_or_delete(event):
    event.action = "forged"
    with pytest.raises(TypeError):
        event.save()
    with pytest.raises(TypeError):
        event.delete()
    with pytest.raises(TypeError):
        AuditEvent.objects.update(action="forged")
    with pytest.raises(TypeError):
        AuditEvent.objects.all().delete()

    assert AuditEvent.objects.get().action == "test.written"


@pytest.mark.postgres
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("statement", ["TRUNCATE {} CASCADE"])
def test_a_table_is_not_emptied(event, table, statement):
    with pytest.raises(DatabaseError, match="only grows"), transaction.atomic():
        connection.cursor().execute(statement.format(table))


@pytest.mark.postgres
@pytest.mark.parametrize("statement", ["UPDATE audit_auditevent SET actor = 'x'", "DELETE FROM audit_auditevent"])
def test_a_row_is_neither_changed_nor_deleted_even_by_the_owner(event, statement):
    with pytest.raises(DatabaseError, match="only grows"), transaction.atomic():
        connection.cursor().execute(statement)

    assert AuditEvent.objects.get().actor == "system"


@pytest.mark.postgres
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {} SET {} = {}",
        "DELETE FROM {}",
        "TRUNCATE {}",
        "ALTER TABLE {} DISABLE TRIGGER ALL",
        "DROP TRIGGER rows_only_grow ON {}",
        "DROP TABLE {}",
    ],
)
@pytest.mark.parametrize(("table", "column"), [("audit_auditevent", "action"), ("audit_auditseal", "digest")])
def test_the_runtime_role_can_only_add_and_read(event, runtime_role, statement, table, column):
    with pytest.raises(DatabaseError, match=r"permission denied|must be owner"), transaction.atomic():
        connection.cursor().execute(statement.format(table, column, column))

    record("test.written")
    assert AuditEvent.objects.count() == 2


@pytest.mark.postgres
def test_the_deploy_check_passes_for_the_runtime_role_only(event, runtime_role):
    def found():
        checks = run_checks(databases=["default"], include_deployment_checks=True)
        return sorted({check.id for check in checks if check.id.startswith("audit.")})

    as_runtime = found()
    connection.cursor().execute("RESET ROLE")

    assert as_runtime == []
    assert found() == ["audit.E001", "audit.E002"]

    connection.cursor().execute("ALTER TABLE audit_auditevent DISABLE TRIGGER ALL")
    assert found() == ["audit.E001", "audit.E002", "audit.E003"]
