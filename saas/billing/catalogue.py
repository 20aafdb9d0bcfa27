"""The catalogue: the plans on sale, and the provider's price of each."""

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from saas.billing.models import Customer, Plan, Price

PLANS = [
    {
        "id": "starter",
        "name": "Starter",
        "price_cents": 1_900,
        "features": ["email-support"],
        "limits": {"teams": 1, "seats": 5, "api_keys": 2},
    },
    {
        "id": "growth",
        "name": "Growth",
        "price_cents": 7_900,
        "features": ["email-support", "audit-log", "priority-support"],
        "limits": {"teams": 10, "seats": 25, "api_keys": 10},
    },
    {
        "id": "scale",
        "name": "Scale",
        "price_cents": 24_900,
        "features": ["email-support", "audit-log", "priority-support", "dedicated-support", "sso"],
        "limits": {"teams": None, "seats": None, "api_keys": None},
    },
]


@transaction.atomic
def seed_plans() -> None:
    """Write the plans of ``PLANS`` and the prices of the settings. May be repeated."""
    stripe_prices = _stripe_prices()
    for row in PLANS:
        plan, _ = Plan.objects.update_or_create(id=row["id"], defaults={k: v for k, v in row.items() if k != "id"})
        set_current_price(plan, Customer.Provider.LOCAL, f"price_local_{plan.id}_{plan.price_cents}")
        if price_id := stripe_prices.get(plan.id):
            set_current_price(plan, Customer.Provider.STRIPE, price_id)


def set_current_price(plan: Plan, provider: str, price_id: str) -> None:
    """Make ``price_id`` the price of new subscriptions. Earlier prices keep their plan."""
    Price.objects.filter(plan=plan, provider=provider, is_current=True).exclude(external_id=price_id).update(
        is_current=False
    )
    Price.objects.update_or_create(
        external_id=price_id,
        defaults={
            "provider": provider,
            "plan": plan,
            "is_current": True,
            "unit_amount_cents": plan.price_cents,
            "currency": plan.currency,
            "interval": "month",
        },
    )


def _stripe_prices() -> dict[str, str]:
    """``STRIPE_PRICES=starter:price_1,growth:price_2`` as a mapping."""
    pairs = [entry.partition(":") for entry in settings.STRIPE_PRICES]
    if any(not plan_id or not price_id for plan_id, _, price_id in pairs):
        raise ImproperlyConfigured("STRIPE_PRICES must be a list of plan:price, such as starter:price_123.")
    return {plan_id: price_id for plan_id, _, price_id in pairs}
