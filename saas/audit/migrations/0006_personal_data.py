"""Reasons and addresses in a table of their own, where they can be erased."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("audit", "0005_signatures")]

    operations = [
        migrations.CreateModel(
            name="AuditPersonalData",
            fields=[
                (
                    "event",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="personal_data",
                        serialize=False,
                        to="audit.auditevent",
                    ),
                ),
                ("address", models.CharField(blank=True, max_length=45)),
                ("address_salt", models.CharField(blank=True, max_length=32)),
                ("reason", models.CharField(blank=True, max_length=500)),
                ("reason_salt", models.CharField(blank=True, max_length=32)),
            ],
        ),
    ]
