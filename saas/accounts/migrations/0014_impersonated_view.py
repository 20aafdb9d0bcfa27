from django.db import migrations, models


class Migration(migrations.Migration):
    """Impersonations get the hashes of the impersonated view's code and cookie. Reversible; old code ignores the columns."""

    dependencies = [("accounts", "0013_one_time_tokens")]

    operations = [
        migrations.AddField("impersonation", "view_code_hash", models.CharField(blank=True, db_default="", default="", max_length=64)),
        migrations.AddField("impersonation", "view_code_expires_at", models.DateTimeField(blank=True, null=True)),
        migrations.AddField(
            "impersonation", "view_key_hash", models.CharField(blank=True, db_default="", db_index=True, default="", max_length=64)
        ),
    ]
