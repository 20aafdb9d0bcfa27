"""Which plan an unknown price stands for may be asked: until somebody says it, the subscription is marked."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0008_products")]

    operations = [
        migrations.AddField(
            model_name="product",
            name="named_plan_id",
            field=models.CharField(blank=True, db_default="", max_length=32),
        ),
        migrations.AddField(
            model_name="subscription",
            name="plan_is_known",
            field=models.BooleanField(db_default=True, default=True),
        ),
    ]
