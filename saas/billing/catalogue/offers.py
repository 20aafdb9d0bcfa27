"""Which price a customer gets who buys a plan now."""

from django.conf import settings

from saas.billing import providers
from saas.billing.catalogue.prices import ensure_provider_price
from saas.billing.catalogue.seeding import adopt_configured_price, configured_prices
from saas.billing.models import Customer, Interval, Plan, Price
from saas.errors import DomainError, Invalid


class NotForSale(DomainError):
    code, title, status = "plan_not_for_sale", "This plan has no price at the payment provider yet.", 503


def find_offer(plan: Plan, *, interval: str = "", currency: str = "") -> Price:
    """The price of a new subscription. Left out, the interval is the month and the currency ``BILLING_CURRENCY``, where the plan
    is sold so, else what it is sold by.

    A price that the provider does not know yet is created there: call it outside any transaction. Raises ``Invalid`` if
    the plan is sold by others only, ``NotForSale`` if by none.
    """
    provider = providers.current_provider()
    if provider == Customer.Provider.STRIPE:
        adopt_configured_price(plan)
    rows = list(Price.objects.selling(plan, provider))
    if not rows:
        raise NotForSale(retry_after_seconds=60)
    currency = currency.lower() or _preferred({_currency(row, plan) for row in rows}, settings.BILLING_CURRENCY)
    there = [row for row in rows if _currency(row, plan) == currency]
    if not there:
        known = ", ".join(sorted({_currency(row, plan) for row in rows}))
        raise Invalid(errors={"currency": [f"This plan is sold in {known}."]})
    interval = interval or _preferred({row.charged_every for row in there}, Interval.MONTH)
    found = [row for row in there if row.charged_every == interval]
    if not found:
        known = ", ".join(sorted({row.charged_every for row in there}))
        raise Invalid(errors={"interval": [f"In {currency} this plan is sold by the {known}."]})
    return ensure_provider_price(found[0])


def _currency(row: Price, plan: Plan) -> str:
    return row.currency or plan.currency


def _preferred(choices: set[str], wanted: str) -> str:
    return wanted if wanted in choices else min(choices)


def offered_trial_days(plan: Plan) -> int:
    """How many days a customer's first subscription to the plan is free."""
    return settings.BILLING_TRIAL_DAYS if plan.trial_days is None else plan.trial_days


def plans_without_price() -> list[str]:
    """The ids of the plans on sale that cannot be bought: the provider has no price of them, and ``STRIPE_PRICES`` names none
    that is still to be adopted."""
    provider = providers.current_provider()
    sold = set(Price.objects.current(provider).values_list("plan_id", flat=True))
    if provider == Customer.Provider.STRIPE:
        named = configured_prices()
        known = Price.objects.filter(external_id__in=named.values(), plan__isnull=False)
        adopted = set(known.values_list("external_id", flat=True))
        sold |= {plan_id for plan_id, price_id in named.items() if price_id not in adopted}
    return sorted(set(Plan.objects.on_sale().values_list("pk", flat=True)) - sold)


def require_prices() -> str:
    """Raise ``NotForSale``, naming the plans, unless every plan on sale has a price or ``STRIPE_PRICES`` names one. Whether
    that one still sells is for doctor to say: a price that is archived at Stripe must not close the service."""
    named = configured_prices() if providers.current_provider() == Customer.Provider.STRIPE else {}
    if settings.BILLING and (missing := [plan_id for plan_id in plans_without_price() if plan_id not in named]):
        raise NotForSale(
            f"No price sells {', '.join(missing)}: name it in STRIPE_PRICES, or run manage.py stripe_sync_plans."
        )
    return "every plan has a price"
