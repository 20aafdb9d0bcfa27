"""Deployment checks that the audit trail is append-only: ``manage.py check --deploy --database default``."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from saas.audit.models import AuditEvent, AuditSeal

TRIGGERS_OF_EACH = 2


@register(Tags.database, deploy=True)
def check_append_only(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Require that the runtime role can only insert and read, and that the triggers are on. SQLite has no roles."""
    found: list[CheckMessage] = []
    for alias in databases or []:
        if connections[alias].vendor == "postgresql":
            for model in (AuditEvent, AuditSeal):
                found += _faults(alias, model._meta.db_table)
    return found


def _faults(alias: str, table: str) -> list[CheckMessage]:
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT pg_has_role(current_user, relowner, 'USAGE'),"
            " has_table_privilege(current_user, oid, 'UPDATE')"
            " OR has_table_privilege(current_user, oid, 'DELETE')"
            " OR has_table_privilege(current_user, oid, 'TRUNCATE'),"
            " (SELECT count(*) FROM pg_trigger WHERE tgrelid = pg_class.oid AND NOT tgisinternal AND tgenabled = 'O')"
            " FROM pg_class WHERE oid = %s::regclass",
            [table],
        )
        is_owner, may_change, triggers = cursor.fetchone()
    messages: list[CheckMessage] = []
    if is_owner:
        messages.append(Error(f"The runtime role owns {table}, and could switch its triggers off.", id="audit.E001"))
    if may_change:
        messages.append(Error(f"The runtime role may change rows of {table}.", id="audit.E002"))
    if triggers < TRIGGERS_OF_EACH:
        messages.append(Error(f"The triggers of {table} are off.", id="audit.E003"))
    return messages
