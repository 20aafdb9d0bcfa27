"""The plans, so that a fresh database sells something. ``manage.py seed`` renews them when the catalogue changes."""

from django.db import migrations

PLANS = [
    ("starter", "Starter", 1900, ["email-support"], (1, 5, 2)),
    ("growth", "Growth", 7900, ["email-support", "audit-log", "priority-support"], (10, 25, 10)),
    (
        "scale",
        "Scale",
        24900,
        ["email-support", "audit-log", "priority-support", "dedicated-support", "sso"],
        (None, None, None),
    ),
]


def create_plans(apps, schema_editor):
    plan, price = apps.get_model("billing", "Plan"), apps.get_model("billing", "Price")
    for id, name, cents, features, limits in PLANS:
        row = plan.objects.create(
            id=id,
            name=name,
            price_cents=cents,
            features=features,
            limits=dict(zip(("teams", "seats", "api_keys"), limits)),
        )
        price.objects.create(
            provider="local",
            external_id=f"price_local_{id}_{cents}",
            plan=row,
            is_current=True,
            unit_amount_cents=cents,
            currency="usd",
            interval="month",
        )


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]

    operations = [migrations.RunPython(create_plans, migrations.RunPython.noop)]
