"""The model and its relation are named by the field's term. The table keeps its first name: nothing changes in the database."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0012_identities_that_are_vouched_for")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterModelTable("proof", "accounts_proof"),
                migrations.RenameModel("Proof", "OneTimeToken"),
                migrations.AlterField(
                    "onetimetoken",
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="one_time_tokens",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ]
        )
    ]
