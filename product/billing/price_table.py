"""The plans on sale as a table of prices for one interval and currency, for pages."""

from dataclasses import dataclass

from django.conf import settings

from saas.billing import providers
from saas.billing.catalogue import limits_and_features
from saas.billing.models import Interval, Plan, Price
from saas.billing.models.catalogue import listed_prices, price_list
from saas.money import Money


@dataclass(frozen=True)
class LimitLine:
    """``number`` is None for no limit."""

    label: str
    number: int | None


@dataclass(frozen=True)
class Offer:
    """``by_month`` is what a price by the year comes to in a month; None of one by the month."""

    plan: Plan
    price: Money
    interval: str
    is_per_unit: bool
    included_quantity: int
    by_month: Money | None
    limits: list[LimitLine]
    features: list[str]


@dataclass(frozen=True)
class PriceTable:
    """``intervals`` and ``currencies`` are those that anything is sold in; the table shows one of each."""

    offers: list[Offer]
    interval: str
    currency: str
    intervals: list[str]
    currencies: list[str]


def price_table(*, interval: str = "", currency: str = "") -> PriceTable:
    """What is sold by ``interval`` in ``currency``; where nothing is, by the month and in the currency of the settings."""
    plans = {plan.pk: plan for plan in price_list()}
    rows = [row for row in listed_prices(providers.current_provider()) if row.plan_id in plans]
    currencies = sorted({_currency(row, plans) for row in rows})
    shown = _chosen(currency.lower(), currencies, settings.BILLING_CURRENCY)
    there = [row for row in rows if _currency(row, plans) == shown]
    intervals = [name for name in Interval.values if any(row.charged_every == name for row in there)]
    chosen = _chosen(interval, intervals, Interval.MONTH)
    found = {row.plan_id: row for row in reversed(there) if row.charged_every == chosen}  # the newest version last
    offers = [_offer(plan, found[plan.pk], shown) for plan in plans.values() if plan.pk in found]
    return PriceTable(offers, chosen, shown, intervals, currencies)


def shown_offer(plan_id: str, *, interval: str, currency: str) -> Offer | None:
    """What a plan on sale costs, listed or not; None where it is not sold so."""
    plan = Plan.objects.on_sale().filter(pk=plan_id).first()
    if plan is None:
        return None
    wanted = interval or Interval.MONTH, currency.lower() or settings.BILLING_CURRENCY
    for row in Price.objects.selling(plan, providers.current_provider()):
        shown = row.currency or plan.currency
        if (row.charged_every, shown) == wanted and row.unit_amount_cents is not None:
            return _offer(plan, row, shown)
    return None


def _chosen(wanted: str, known: list[str], usual: str) -> str:
    if wanted in known:
        return wanted
    return usual if usual in known or not known else known[0]


def _currency(row: Price, plans: dict[str, Plan]) -> str:
    return row.currency or plans[str(row.plan_id)].currency


def _offer(plan: Plan, row: Price, currency: str) -> Offer:
    amount = row.unit_amount_cents or 0
    limits = limits_and_features.complete_limits(plan.limits)
    return Offer(
        plan,
        Money(amount, currency),
        row.charged_every,
        row.is_per_unit,
        row.included_quantity,
        Money(round(amount / 12), currency) if row.charged_every == Interval.YEAR else None,
        [LimitLine(limit.label, limits[limit.key]) for limit in limits_and_features.LIMITS],
        [limits_and_features.feature_label(key) for key in plan.features],
    )
