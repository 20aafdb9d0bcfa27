"""On PostgreSQL the two tables refuse UPDATE, DELETE and TRUNCATE, whoever asks and however.

Reversible. SQLite has only what the models refuse.
"""

from django.db import migrations

TABLES = ["audit_auditevent", "audit_auditseal"]

FUNCTION = """
CREATE FUNCTION audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is refused: % only grows', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$
"""


def add(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    schema_editor.execute(FUNCTION, params=None)
    for table in TABLES:
        schema_editor.execute(
            f"CREATE TRIGGER rows_only_grow BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION audit_only_grows()"
        )
        schema_editor.execute(
            f"CREATE TRIGGER table_only_grows BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows()"
        )


def remove(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    for table in TABLES:
        schema_editor.execute(f"DROP TRIGGER rows_only_grow ON {table}")
        schema_editor.execute(f"DROP TRIGGER table_only_grows ON {table}")
    schema_editor.execute("DROP FUNCTION audit_only_grows()")


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_seals")]

    operations = [migrations.RunPython(add, remove)]
