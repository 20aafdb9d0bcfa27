"""A customer whom the provider has no longer is replaced, and the provider is told of changed addresses and names."""

import django.db.models.functions.datetime
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0013_features_that_exist")]

    operations = [
        migrations.AddField("checkout", "opening_attempt", models.PositiveIntegerField(db_default=0, default=0)),
        migrations.AddField("customer", "replaced_at", models.DateTimeField(blank=True, null=True)),
        migrations.AddField("customer", "creation_attempt", models.PositiveIntegerField(db_default=0, default=0)),
        migrations.AddField("customer", "told_email", models.CharField(blank=True, db_default="", max_length=512)),
        migrations.AddField("customer", "told_name", models.CharField(blank=True, db_default="", max_length=200)),
        migrations.AddField("customer", "profile_failures", models.PositiveIntegerField(db_default=0, default=0)),
        migrations.AddField(
            "customer",
            "profile_due_at",
            models.DateTimeField(
                db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
            ),
        ),
        migrations.RemoveConstraint("customer", "one_customer_per_user_and_provider"),
        migrations.RemoveConstraint("customer", "one_customer_per_team_and_provider"),
        migrations.AddConstraint(
            "customer",
            models.UniqueConstraint(
                condition=models.Q(replaced_at=None, user__isnull=False),
                fields=["user", "provider"],
                name="one_current_customer_per_user",
            ),
        ),
        migrations.AddConstraint(
            "customer",
            models.UniqueConstraint(
                condition=models.Q(replaced_at=None, team__isnull=False),
                fields=["team", "provider"],
                name="one_current_customer_per_team",
            ),
        ),
    ]
