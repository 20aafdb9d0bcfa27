"""An event that is processed may need attention nevertheless: what of it could not be read."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("webhook_events", "0009_name_losses_crash_count")]

    operations = [
        migrations.AddField(
            "webhookevent", "attention", models.CharField(blank=True, db_default="", default="", max_length=500)
        ),
        migrations.AddIndex(
            "webhookevent",
            models.Index(
                condition=models.Q(("attention", ""), _negated=True), fields=["id"], name="webhook_events_to_look_at"
            ),
        ),
    ]
