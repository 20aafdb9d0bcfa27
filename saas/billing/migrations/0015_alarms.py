"""Rows say what of them cannot be read or counted, and which event says so; customers keep their discounts."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0014_customers_are_replaced'),
    ]

    operations = [
        migrations.AddField(
            model_name='customer',
            name='discounts',
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='invoice',
            name='amounts_are_known',
            field=models.BooleanField(db_default=True, default=True),
        ),
        migrations.AddField(
            model_name='invoice',
            name='attention',
            field=models.CharField(blank=True, db_default='', default='', max_length=500),
        ),
        migrations.AddField(
            model_name='invoice',
            name='attention_event_id',
            field=models.CharField(blank=True, db_default='', default='', max_length=255),
        ),
        migrations.AddField(
            model_name='subscription',
            name='attention',
            field=models.CharField(blank=True, db_default='', default='', max_length=500),
        ),
        migrations.AddField(
            model_name='subscription',
            name='attention_event_id',
            field=models.CharField(blank=True, db_default='', default='', max_length=255),
        ),
        migrations.AddIndex(
            model_name='invoice',
            index=models.Index(condition=models.Q(('attention', ''), _negated=True), fields=['id'], name='invoices_to_look_at'),
        ),
        migrations.AddIndex(
            model_name='subscription',
            index=models.Index(condition=models.Q(('attention', ''), _negated=True), fields=['id'], name='subscriptions_to_look_at'),
        ),
    ]
