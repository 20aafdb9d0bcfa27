"""A claim changes no column that an index has. With room for the new version of a row on its own page, PostgreSQL leaves all
nine indexes alone. Holds for pages that are written from now on; takes no lock that a reader or writer would notice."""

from typing import Any

from django.db import migrations


def reserve(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE webhook_events_webhookevent SET (fillfactor = 50)")


def give_back(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE webhook_events_webhookevent RESET (fillfactor)")


class Migration(migrations.Migration):
    dependencies = [("webhook_events", "0005_find_the_events_of_a_customer")]
    operations = [migrations.RunPython(reserve, give_back)]
