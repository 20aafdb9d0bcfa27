"""The field's name in Python only: the column stays ``losses``, and so does its index."""

from typing import ClassVar

from django.db import migrations, models

WAITING = ["queued", "retry_scheduled", "replay_queued"]


class Migration(migrations.Migration):
    dependencies: ClassVar = [("webhook_events", "0008_compress_payloads_with_lz4")]

    operations: ClassVar = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveIndex("webhookevent", "webhook_events_suspect"),
                migrations.AlterField(
                    "webhookevent", "losses", models.PositiveIntegerField(default=0, db_column="losses")
                ),
                migrations.RenameField("webhookevent", "losses", "crash_count"),
                migrations.AddIndex(
                    "webhookevent",
                    models.Index(
                        fields=["next_attempt_at"],
                        condition=models.Q(status__in=WAITING, crash_count__gt=0),
                        name="webhook_events_suspect",
                    ),
                ),
            ]
        )
    ]
