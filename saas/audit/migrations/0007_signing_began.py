"""Record up to which link the trail was written without signatures: further ones are forged."""

from typing import Any

from django.db import migrations

from saas.audit.trail_start import record_signing_start


def record_start(apps: Any, schema_editor: Any) -> None:
    record_signing_start(apps.get_model("audit", "AuditEvent"), apps.get_model("audit", "AuditSeal"))


class Migration(migrations.Migration):
    dependencies = [("audit", "0006_personal_data")]
    operations = [migrations.RunPython(record_start, migrations.RunPython.noop)]  # what is recorded stays
