"""The figures count who is canceling from the index alone."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0010_cancel_at")]

    operations = [
        migrations.AddIndex(
            model_name="subscription",
            index=models.Index(
                condition=models.Q(("status__in", ["active", "trialing", "past_due"])),
                fields=["status", "currency", "cancel_at_period_end", "cancel_at", "monthly_cents"],
                name="subscriptions_by_earnings",
            ),
        ),
        migrations.RemoveIndex(model_name="subscription", name="subscriptions_by_revenue"),
    ]
