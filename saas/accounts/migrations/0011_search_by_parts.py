"""Finding people by a part of their name or address: an index of triples of letters, where PostgreSQL has that extension and
we may create it. Without it the search gives the same answers and reads everybody."""

from typing import Any

from django.db import migrations, transaction
from django.db.utils import DatabaseError

_INDEXES = {"people_by_part_of_email": "email", "people_by_part_of_name": "full_name"}


def add(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    try:
        with transaction.atomic(schema_editor.connection.alias):
            schema_editor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except DatabaseError:  # not installed, or not ours to create
        return
    for name, column in _INDEXES.items():  # the expression is what Django writes for icontains
        schema_editor.execute(
            f"CREATE INDEX IF NOT EXISTS {name} ON accounts_user USING gin (upper({column}::text) gin_trgm_ops)"
        )


def remove(apps: Any, schema_editor: Any) -> None:
    """The extension stays: others may use it."""
    if schema_editor.connection.vendor == "postgresql":
        for name in _INDEXES:
            schema_editor.execute(f"DROP INDEX IF EXISTS {name}")


class Migration(migrations.Migration):
    dependencies = [("accounts", "0010_indexes_for_figures")]
    operations = [migrations.RunPython(add, remove)]
