from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0027_subscriptions_hidden_amounts'),
    ]

    operations = [
        migrations.AddField(
            model_name='invoice',
            name='refund_failed_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
