from django.db import migrations, models


class Migration(migrations.Migration):
    """How far the deletion of expired rows is with each table."""

    dependencies = [("operations", "0004_secrets_of_processes")]
    operations = [
        migrations.CreateModel(
            name="RetentionProgress",
            fields=[
                ("table", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("complete_until", models.DateTimeField()),
                ("started_at", models.DateTimeField(null=True)),
                ("position", models.JSONField(null=True)),
                ("deleted", models.PositiveBigIntegerField(default=0)),
            ],
        ),
    ]
