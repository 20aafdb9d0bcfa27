"""Take "sso" and "audit-log", behind which nothing stands, out of the plans of the demo that nobody has edited."""

from django.db import migrations

# Name, price, limits; features as seeded, and without the two.
PLANS = {
    "growth": (
        ("Growth", 7900, (10, 25, 10)),
        ["email-support", "audit-log", "priority-support"],
        ["email-support", "priority-support"],
    ),
    "scale": (
        ("Scale", 24900, (None, None, None)),
        ["email-support", "audit-log", "priority-support", "dedicated-support", "sso"],
        ["email-support", "priority-support", "dedicated-support"],
    ),
}


def take_out(apps, schema_editor):
    for id, (seeded, before, after) in PLANS.items():
        _replace(apps, id, seeded, before, after)


def put_back(apps, schema_editor):
    for id, (seeded, before, after) in PLANS.items():
        _replace(apps, id, seeded, after, before)


def _replace(apps, id, seeded, old, new):
    name, cents, limits = seeded
    plan = apps.get_model("billing", "Plan")
    row = plan.objects.filter(pk=id, name=name, price_cents=cents, currency="usd", is_active=True).first()
    if row and row.features == old and row.limits == dict(zip(("teams", "seats", "api_keys"), limits)):
        plan.objects.filter(pk=id).update(features=new)


class Migration(migrations.Migration):
    dependencies = [("billing", "0012_catalogue_versions")]

    operations = [migrations.RunPython(take_out, put_back)]
