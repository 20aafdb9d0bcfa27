"""The unique index of event and number finds an event's attempts, too. Only the index goes: Django's own operation would also
drop the foreign key and check every row anew."""

import django.db.models.deletion
from django.db import migrations, models

_NAME = "webhook_events_webhookattempt_event_id_8cd8e8b0"


class Migration(migrations.Migration):
    dependencies = [("webhook_events", "0006_room_for_claims")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    f"DROP INDEX IF EXISTS {_NAME}",
                    f"CREATE INDEX IF NOT EXISTS {_NAME} ON webhook_events_webhookattempt (event_id)",
                )
            ],
            state_operations=[
                migrations.AlterField(
                    "webhookattempt",
                    "event",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="attempt_log",
                        to="webhook_events.webhookevent",
                    ),
                )
            ],
        )
    ]
