"""Reading the provider's objects, in any API version, from any sender.

An event keeps the API version of its endpoint, so a value is looked for in its old and its new place. A value
of the wrong type counts as not there: an unsigned event of a developer may hold anything.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from saas.security.untrusted_json import JSONObject, as_count, as_integer, as_object, as_objects, as_text, as_time

_LARGEST_NUMBER = 2**53
_MONTHS = {"day": Fraction(12, 365), "week": Fraction(12, 52), "month": Fraction(1), "year": Fraction(12)}


def items(value: object) -> list[JSONObject]:
    """The objects of a list, or of the ``data`` of a list object."""
    return as_objects(value.get("data") if isinstance(value, dict) else value)


def id_of(value: object) -> str:
    """The id of a reference, which is a string or, expanded, the object itself."""
    return as_text(as_object(value).get("id") if isinstance(value, dict) else value)


# ── Subscriptions ────────────────────────────────────────────────────────────────────────────────────────────────────


def subscription_lines(subscription: JSONObject) -> list[JSONObject]:
    """What is subscribed to. Events from before 2018 may have only ``plan`` and ``quantity``, on the subscription."""
    if found := items(subscription.get("items")):
        return found
    return [subscription] if isinstance(subscription.get("plan"), dict) else []


def line_price(line: JSONObject) -> JSONObject:
    """The price of one line: ``price``, or ``plan`` in the older shape."""
    return as_object(line.get("price")) or as_object(line.get("plan"))


def metadata_plan_id(thing: JSONObject) -> str:
    """``metadata.plan_id`` of a price or product: the id of one of our plans."""
    return as_text(as_object(thing.get("metadata")).get("plan_id"), 32)


def period_end(subscription: JSONObject) -> datetime | None:
    """On the subscription until 2025-03-31.basil, since then on its items: the earliest, as a cancellation resolves."""
    if found := as_time(subscription.get("current_period_end")):
        return found
    ends = [end for line in subscription_lines(subscription) if (end := as_time(line.get("current_period_end")))]
    return min(ends, default=None)


def period_start(subscription: JSONObject) -> datetime | None:
    """Where ``period_end`` is: the earliest."""
    if found := as_time(subscription.get("current_period_start")):
        return found
    starts = [
        start for line in subscription_lines(subscription) if (start := as_time(line.get("current_period_start")))
    ]
    return min(starts, default=None)


def monthly_cents(subscription: JSONObject) -> int:
    """What all lines cost a month after lasting discounts, in cents, rounded once and never below nothing."""
    costs = [
        _monthly(line) if line is subscription else _less(_monthly(line), line)
        for line in subscription_lines(subscription)
    ]
    cents = round(_less(sum(costs, Fraction(0)), subscription))
    return cents if cents < _LARGEST_NUMBER else 0


def _monthly(line: JSONObject) -> Fraction:
    """A metered price is no recurring revenue: its amount depends on usage."""
    price, months = line_price(line), _months(line_price(line))
    if not months or _recurring(price).get("usage_type") == "metered":
        return Fraction(0)
    return max(unit_cents(price), Fraction(0)) * _units(price, as_count(line.get("quantity"), 1)) / months


def _months(price: JSONObject) -> Fraction:
    """How many months a price is for; 0 for what is paid once."""
    recurring = _recurring(price)
    every = max(as_count(recurring.get("interval_count"), 1), 1)
    return _MONTHS.get(as_text(recurring.get("interval")), Fraction(0)) * every


def _recurring(price: JSONObject) -> JSONObject:
    return as_object(price.get("recurring")) or price


def _units(price: JSONObject, quantity: int) -> int:
    """A price per package counts packages."""
    package = as_object(price.get("transform_quantity"))
    if not (size := as_count(package.get("divide_by"), 0)):
        return quantity
    return -(-quantity // size) if package.get("round") == "up" else quantity // size


def _less(monthly: Fraction, discounted: JSONObject) -> Fraction:
    """Less the discounts of a subscription or line that are shown whole and outlast one invoice (decision 50)."""
    months = _months(line_price((subscription_lines(discounted) or [discounted])[0]))  # what an amount is taken off for
    for coupon in _coupons(discounted):
        percent_off = coupon.get("percent_off")  # a number with decimals, as JSON or as text
        percent = _decimal(percent_off if isinstance(percent_off, str) else str(percent_off)) or Fraction(0)
        percent = min(max(percent, Fraction(0)), Fraction(100))
        monthly *= 1 - percent * Fraction(1, 100)
        monthly -= Fraction(as_count(coupon.get("amount_off"), 0)) / months if months else 0
    return max(monthly, Fraction(0))


def _coupons(discounted: JSONObject) -> list[JSONObject]:
    """Since 2025 ``discounts`` has all, most often as ids, which tell nothing; before, ``discount`` had the one."""
    shown = items(discounted.get("discounts")) or items([discounted.get("discount")])
    coupons = [as_object(row.get("coupon")) or as_object(as_object(row.get("source")).get("coupon")) for row in shown]
    return [coupon for coupon in coupons if coupon.get("duration") in {"forever", "repeating"}]


def unit_cents(price: JSONObject) -> Fraction:
    """The price of one unit: ``unit_amount``, its decimal, or ``amount`` of a plan. Tiered and metered prices have none."""
    for name in ("unit_amount", "amount"):
        if (amount := as_integer(price.get(name))) is not None:
            return Fraction(amount)
    for name in ("unit_amount_decimal", "amount_decimal"):
        if (fraction := _decimal(price.get(name))) is not None:
            return fraction
    return Fraction(0)


def _decimal(value: object) -> Fraction | None:
    try:
        number = Decimal(as_text(value, 40))
    except InvalidOperation:
        return None
    return Fraction(number) if number.is_finite() and abs(number) < _LARGEST_NUMBER else None


# ── Invoices ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def invoice_subscription(invoice: JSONObject) -> str:
    """The subscription that an invoice is for: at the top, or since basil under ``parent``."""
    details = as_object(as_object(invoice.get("parent")).get("subscription_details"))
    return id_of(invoice.get("subscription")) or id_of(details.get("subscription"))


def invoice_status(invoice: JSONObject) -> str:
    """``status``; before 2018-11 the flags ``paid``, ``forgiven`` and ``closed`` said it."""
    if status := as_text(invoice.get("status"), 64):
        return status
    flags: Iterator[tuple[str, str]] = iter((("paid", "paid"), ("forgiven", "uncollectible"), ("closed", "void")))
    return next((status for flag, status in flags if invoice.get(flag) is True), "open")
