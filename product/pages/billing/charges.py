"""What a plan costs by the month or the year, as billing's pages say it (``product/pages/billing/price.html``)."""

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from saas.billing.models import Interval, PendingChange, Plan, Price, Subscription
from saas.money import Money


@dataclass(frozen=True)
class Charge:
    """``amount`` of a unit, for ``quantity`` of them."""

    amount: Money
    is_yearly: bool
    is_per_unit: bool
    quantity: int


def charge_of(price: Price, quantity: int, currency: str) -> Charge:
    """Say by the month or the year what is charged by another interval. ``currency`` is that of a price which has none."""
    times_a_year = {"day": 365, "week": 52}.get(price.charged_every, 1)
    cents = Fraction((price.unit_amount_cents or 0) * times_a_year, max(price.interval_count, 1))
    amount = Money(round(cents), price.currency or currency)
    return Charge(amount, price.charged_every != Interval.MONTH, price.is_per_unit, quantity)


def current_charge(row: Subscription) -> Charge:
    """Say what its price is; where that cannot be shown (another currency, by the quarter), what it comes to in a month."""
    price = row.find_price()
    is_shown = price is not None and price.amount is not None and price.offered_interval != ""
    if price is None or not is_shown or price.currency not in {"", row.currency}:
        return Charge(row.monthly, is_yearly=False, is_per_unit=False, quantity=1)
    return charge_of(price, row.quantity, row.currency)


@dataclass(frozen=True)
class PlannedChange:
    """What a subscription moves to at the end of its period, and what that costs from then on."""

    plan: Plan | None
    at: datetime
    charge: Charge


def planned_change(row: Subscription) -> PlannedChange | None:
    """None also where the subscription has been ended at the provider meanwhile: then the change is dropped."""
    change: PendingChange | None = getattr(row, "pending_change", None)
    if change is None or row.is_canceling:
        return None
    return PlannedChange(change.price.plan, change.at, charge_of(change.price, change.quantity, row.currency))
