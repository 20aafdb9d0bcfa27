"""The plans of a fresh database, and the prices that ``STRIPE_PRICES`` names."""

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from saas.billing.catalogue.prices import headline_terms, lock_plan, set_current_price, write_version
from saas.billing.models import Customer, Interval, Plan, Price, PriceTerms

MONTHS_PAID_FOR_A_YEAR = 10
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
        "features": ["email-support", "priority-support"],
        "limits": {"teams": 10, "seats": 25, "api_keys": 10},
    },
    {
        "id": "scale",
        "name": "Scale",
        "price_cents": 24_900,
        "features": ["email-support", "priority-support", "dedicated-support"],
        "limits": {"teams": None, "seats": None, "api_keys": None},
    },
]


@transaction.atomic
def seed_plans() -> None:
    """Create the plans of ``PLANS`` that are not there, and adopt the prices of the settings. A plan that is there stays as it
    is, also where staff or a file changed it. May be repeated."""
    for row in PLANS:
        plan, is_new = Plan.objects.get_or_create(id=row["id"], defaults={k: v for k, v in row.items() if k != "id"})
        if is_new:
            set_current_price(plan, Customer.Provider.LOCAL, f"price_local_{plan.id}_{plan.price_cents}")
    for plan in Plan.objects.filter(pk__in=configured_prices()):
        adopt_configured_price(plan)


@transaction.atomic
def seed_yearly_prices() -> None:
    """For a demonstration: sell each plan of ``PLANS`` by the year as well, at the local provider, for the price of ten months.
    A plan that has or had such a price stays as it is. May be repeated."""
    for plan in Plan.objects.filter(pk__in=[row["id"] for row in PLANS], price_cents__isnull=False):
        yearly = Price.objects.filter(plan=plan, provider=Customer.Provider.LOCAL, interval=Interval.YEAR)
        if plan.price_cents is not None and not yearly.exists():
            terms = PriceTerms(plan.currency, Interval.YEAR, plan.price_cents * MONTHS_PAID_FOR_A_YEAR)
            write_version(plan, Customer.Provider.LOCAL, terms)


def configured_prices() -> dict[str, str]:
    """``STRIPE_PRICES=starter:price_1,growth:price_2`` as a mapping."""
    pairs = [entry.partition(":") for entry in settings.STRIPE_PRICES]
    if any(not plan_id or not price_id for plan_id, _, price_id in pairs):
        raise ImproperlyConfigured("STRIPE_PRICES must be a list of plan:price, such as starter:price_123.")
    return {plan_id: price_id for plan_id, _, price_id in pairs}


@transaction.atomic
def adopt_configured_price(plan: Plan) -> None:
    """Sell the plan at the price that ``STRIPE_PRICES`` names, unless the catalogue knows that price already: a price that was
    changed since then stays changed."""
    price_id = configured_prices().get(plan.pk)
    lock_plan(plan.pk)
    if price_id and not Price.objects.filter(external_id=price_id, plan__isnull=False).exists():
        set_current_price(plan, Customer.Provider.STRIPE, price_id)


@transaction.atomic
def adopt_local_prices(plan: Plan) -> None:
    """Sell at Stripe what the local provider sells, where Stripe sells nothing of the plan for that interval and currency. The
    prices have no id until they are created there (``prices.ensure_provider_price``)."""
    lock_plan(plan.pk)
    for terms in _wanted_terms(plan):
        write_version(plan, Customer.Provider.STRIPE, terms)


def _wanted_terms(plan: Plan) -> list[PriceTerms]:
    """Of several prices for one interval and currency, Stripe's own before the local provider's, and the plan's first of all."""
    found = {}
    for provider in (Customer.Provider.LOCAL, Customer.Provider.STRIPE):
        for row in Price.objects.selling(plan, provider).filter(unit_amount_cents__isnull=False).reverse():
            terms = PriceTerms.of(row)
            found[terms.key] = terms
    headline = headline_terms(plan)
    if headline and (headline.key not in found or found[headline.key].unit_amount_cents != headline.unit_amount_cents):
        found[headline.key] = headline
    return [terms for terms in found.values() if terms.interval in Interval.values]
