"""What a plan costs by the month or the year, as billing's pages say it (``product/pages/billing/price.html``)."""

from dataclasses import dataclass
from datetime import datetime

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
    """``currency`` is that of a price which has none of its own."""
    amount = Money(price.unit_amount_cents or 0, price.currency or currency)
    return Charge(amount, not price.is_monthly, price.is_per_unit, quantity)


def current_charge(row: Subscription) -> Charge:
    """What it comes to in a month where its price cannot be said: in another currency, or by the quarter."""
    price = row.find_price()
    is_said = price is not None and price.amount is not None and price.is_charged_by(*Interval.values)
    if price is None or not is_said or price.currency not in {"", row.currency}:
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
