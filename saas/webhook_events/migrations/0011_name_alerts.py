"""The field's name in Python only: the table stays ``webhook_events_webhookalarm``."""

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    dependencies: ClassVar = [("webhook_events", "0010_events_that_need_attention")]

    operations: ClassVar = [
        migrations.AlterModelTable("webhookalarm", "webhook_events_webhookalarm"),
        migrations.RenameModel("WebhookAlarm", "WebhookAlert"),
    ]
