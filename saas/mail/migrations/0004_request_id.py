from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mail", "0003_locale")]

    operations = [
        migrations.AddField(
            model_name="mail",
            name="request_id",
            field=models.CharField(db_default="", max_length=64),
        ),
    ]
