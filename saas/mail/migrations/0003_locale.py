from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mail", "0002_sealed_values")]

    operations = [
        migrations.AddField(
            model_name="mail",
            name="locale",
            field=models.CharField(db_default="en", max_length=16),
        ),
    ]
