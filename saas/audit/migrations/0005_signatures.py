"""Events and seals carry a signature by a key that the database does not hold."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("audit", "0004_filters")]

    operations = [
        migrations.AddField("auditevent", "nonce", models.UUIDField(null=True, unique=True)),
        migrations.AddField("auditevent", "signature", models.CharField(max_length=64, blank=True, db_default="")),
        migrations.AddField("auditevent", "reason_digest", models.CharField(max_length=64, blank=True, db_default="")),
        migrations.AddField("auditevent", "address_digest", models.CharField(max_length=64, blank=True, db_default="")),
        migrations.AddField("auditseal", "signature", models.CharField(max_length=64, blank=True, db_default="")),
        migrations.SeparateDatabaseAndState(  # the columns keep their names
            state_operations=[
                migrations.RenameField("auditevent", "reason", "plain_reason"),
                migrations.RenameField("auditevent", "address", "plain_address"),
                migrations.AlterField(
                    "auditevent", "plain_reason", models.CharField(max_length=500, blank=True, db_column="reason")
                ),
                migrations.AlterField(
                    "auditevent", "plain_address", models.CharField(max_length=45, blank=True, db_column="address")
                ),
            ],
        ),
    ]
