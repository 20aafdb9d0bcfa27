"""Whether a provider vouched for the address that it told: a recovery by the mailbox keeps those identities and no others."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0011_search_by_parts")]
    operations = [
        migrations.AddField(
            "oauthidentity", "email_is_verified", models.BooleanField(default=False, db_default=False)
        ),
    ]
