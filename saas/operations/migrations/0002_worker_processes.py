from django.db import migrations, models


class Migration(migrations.Migration):
    """Signs of life of each process that works."""

    dependencies = [("operations", "0001_initial")]
    operations = [
        migrations.CreateModel(
            name="WorkerProcess",
            fields=[
                ("name", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("seen_at", models.DateTimeField()),
                ("stuck_since", models.DateTimeField()),
            ],
        ),
    ]
