from django.db import migrations, models


class Migration(migrations.Migration):
    """What beat claims before it sends a task."""

    dependencies = [("operations", "0002_worker_processes")]
    operations = [
        migrations.CreateModel(
            name="ScheduledTask",
            fields=[
                ("name", models.CharField(max_length=200, primary_key=True, serialize=False)),
                ("slot", models.DateTimeField()),
                ("runs", models.PositiveBigIntegerField(default=0)),
            ],
        ),
    ]
