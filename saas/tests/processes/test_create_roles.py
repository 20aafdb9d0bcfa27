"""The role that services run under."""

import secrets
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection, transaction
from psycopg import sql

from saas.audit.actions import record
from saas.audit.checks import check_append_only
from saas.audit.models import AuditEvent

pytestmark = pytest.mark.postgres


@pytest.fixture
def runtime(db):
    """A role of its own, which the test's transaction takes away again."""
    name = f"runtime_{secrets.token_hex(6)}"
    call_command("create_roles", "--runtime", name, stdout=StringIO())
    return name


def become(role):
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))


def test_it_may_work_and_its_check_finds_nothing(runtime, customer):
    call_command("create_roles", "--runtime", runtime, stdout=StringIO())  # again

    become(runtime)

    record("demo.done", actor=customer.user.id, target=customer.user.id)
    assert AuditEvent.objects.filter(action="demo.done").exists()
    customer.user.full_name = "Kim Other"
    customer.user.save()
    assert check_append_only(databases=["default"]) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_auditevent SET action = 'x'",
        "DELETE FROM audit_auditevent",
        "TRUNCATE audit_auditevent",
        "DELETE FROM audit_auditseal",
        "ALTER TABLE audit_auditevent DISABLE TRIGGER ALL",
        "DROP TABLE audit_auditevent",
        "CREATE TABLE of_its_own (id int)",
        "DELETE FROM django_migrations",
    ],
)
def test_it_may_not_touch_the_past_nor_the_tables(runtime, statement):
    become(runtime)

    with pytest.raises(ProgrammingError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_a_role_that_may_do_more_is_not_taken(db):
    with pytest.raises(CommandError, match=r"is the role that you are|may do more"):
        call_command("create_roles", "--runtime", "postgres", stdout=StringIO())


def test_tables_of_another_schema_are_its_own_too(db):
    role = f"runtime_{secrets.token_hex(6)}"
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA ours; SET LOCAL search_path = ours, public")
        call_command("create_roles", "--runtime", role, stdout=StringIO())
        cursor.execute(
            "SELECT has_schema_privilege(%s, 'ours', 'USAGE'), has_schema_privilege(%s, 'public', 'CREATE')",
            [role, role],
        )

        assert cursor.fetchone() == (True, False)


def test_a_schema_that_is_missing_is_told(db):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL search_path = nowhere")
        with pytest.raises(CommandError, match="The schema that search_path names is not there"):
            call_command("create_roles", stdout=StringIO())
