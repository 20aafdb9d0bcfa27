from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    """What a process accepts of each secret, and when a value signed, so that a rotation can be followed."""

    dependencies = [("operations", "0003_scheduled_tasks")]
    operations = [
        migrations.CreateModel(
            name="ProcessSecrets",
            fields=[
                ("name", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("role", models.CharField(max_length=32)),
                ("accepted", models.JSONField()),
                ("seen_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="SignedSecret",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("secret", models.CharField(max_length=64)),
                ("fingerprint", models.CharField(max_length=16)),
                ("first_signed_at", models.DateTimeField(db_default=Now())),
                ("last_signed_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=["secret", "fingerprint"], name="a_value_of_a_secret_once")
                ],
            },
        ),
    ]
