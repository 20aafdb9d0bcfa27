"""The ledger tells what each change was for the revenue from the customer. It is a fold of the stored events: what is
there is dropped, and ``manage.py billing_rebuild`` tells it anew."""

from datetime import date

import django.db.models.deletion
from django.db import migrations, models


def drop(apps, schema_editor):
    apps.get_model("billing", "LedgerEntry").objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("billing", "0005_entitlement_overrides")]

    operations = [
        migrations.RunPython(drop, migrations.RunPython.noop),
        migrations.AddField(
            model_name='ledgerentry',
            name='cohort',
            field=models.DateField(null=True),
        ),
        migrations.AddField(
            model_name='ledgerentry',
            name='customer',
            field=models.ForeignKey(default='', on_delete=django.db.models.deletion.PROTECT, related_name='ledger', to='billing.customer'),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='ledgerentry',
            name='customer_cents',
            field=models.BigIntegerField(default=0),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='ledgerentry',
            name='is_linked',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='ledgerentry',
            name='month',
            field=models.DateField(default=date(1970, 1, 1)),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='ledgerentry',
            name='movement',
            field=models.CharField(blank=True, choices=[('new', 'New'), ('expansion', 'Expansion'), ('contraction', 'Contraction'), ('churn', 'Churn'), ('reactivation', 'Reactivation')], max_length=16),
        ),
        migrations.AlterField(
            model_name='ledgerentry',
            name='at',
            field=models.DateTimeField(),
        ),
        migrations.AlterField(
            model_name='ledgerentry',
            name='kind',
            field=models.CharField(choices=[('trial_started', 'Trial Started'), ('trial_ended', 'Trial Ended'), ('new', 'New'), ('upgrade', 'Upgrade'), ('downgrade', 'Downgrade'), ('renewal', 'Renewal'), ('past_due', 'Past Due'), ('recovered', 'Recovered'), ('canceled', 'Canceled'), ('reactivated', 'Reactivated')], max_length=16),
        ),
        migrations.AddIndex(
            model_name='ledgerentry',
            index=models.Index(fields=['customer', 'at'], name='ledger_of_customer'),
        ),
        migrations.AddIndex(
            model_name='ledgerentry',
            index=models.Index(fields=['at'], name='ledger_by_time'),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.UniqueConstraint(fields=('subscription', 'event_id', 'kind'), name='an_event_tells_one_change_of_a_kind'),
        ),
    ]
