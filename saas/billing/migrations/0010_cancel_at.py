"""A subscription may have been canceled for a day of its own."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0009_plans_of_items")]

    operations = [
        migrations.AddField(
            model_name="subscription",
            name="cancel_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
