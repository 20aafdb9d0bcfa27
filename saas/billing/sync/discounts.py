"""Discounts: what a coupon takes off, from when and until when, as the provider's objects show it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from saas.billing.sync import stripe_objects
from saas.security.untrusted_json import JSONObject, as_count, as_object, as_text, as_time

LARGEST_NUMBER = 2**53
_MOST_DECIMALS = 40


def is_small(number: Decimal) -> bool:
    """Whether it can be a price or a share. To make a fraction of ten to the power of minus a million takes minutes."""
    exponent = number.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -_MOST_DECIMALS and number.copy_abs() < LARGEST_NUMBER


@dataclass(frozen=True)
class Discount:
    """``percent_off`` is from 0 to 100, ``amounts_off`` in minor units by currency, off each invoice. Without ``product_ids`` it
    is for all."""

    id: str
    percent_off: Fraction
    amounts_off: Mapping[str, int]
    is_lasting: bool  # beyond a month: one for a month or an invoice is a gift, and moves no revenue
    product_ids: frozenset[str]
    start: datetime | None
    end: datetime | None

    def lasts_at(self, at: datetime | None) -> bool:
        """Whether it counts at that time; without one, whether it lasts at all."""
        has_begun = at is None or self.start is None or self.start <= at
        return self.is_lasting and has_begun and (at is None or self.end is None or at < self.end)

    def amount_off(self, currency: str) -> int | None:
        """``None`` where it takes off an amount of other currencies. What names no currency is for any."""
        if not self.amounts_off or not currency:
            return next(iter(self.amounts_off.values()), 0)
        return self.amounts_off.get(currency, self.amounts_off.get(""))

    def completed_by(self, other: "Discount | None") -> "Discount":
        """With what only some snapshots show: the amounts in other currencies, and for which products it is."""
        if other is None:
            return self
        amounts = {**other.amounts_off, **self.amounts_off}
        return replace(self, amounts_off=amounts, product_ids=self.product_ids or other.product_ids)

    def is_for(self, product_id: str) -> bool:
        return not self.product_ids or product_id in self.product_ids


@dataclass(frozen=True)
class CustomerDiscounts:
    """``known``: every discount by id. ``of_customer``: those that apply to all subscriptions. ``unread``: ids of these whose
    coupon is unknown. ``moments``: time and event id at which one of them begins or ends."""

    known: Mapping[str, Discount] = field(default_factory=dict)
    of_customer: tuple[Discount, ...] = ()
    unread: tuple[str, ...] = ()
    moments: tuple[tuple[datetime, str], ...] = ()

    def read(self, shown: object) -> Discount | None:
        """A discount as a subscription shows it: whole, or by its id. ``None`` where only its id is known."""
        whole, known = read_discount(shown) if isinstance(shown, dict) else None, self.known.get(discount_id(shown))
        return whole.completed_by(known) if whole else known

    def including(self, shown: Iterable[object]) -> "CustomerDiscounts":
        """With those that are whole in ``shown``, too."""
        known: dict[str, Discount] = {}
        found = [discount for one in shown if isinstance(one, dict) and (discount := read_discount(one))]
        for discount in (*found, *self.known.values()):
            if discount.id:
                known[discount.id] = discount.completed_by(known.get(discount.id))
        return replace(self, known=known)


NO_DISCOUNTS = CustomerDiscounts()


def discount_id(shown: object) -> str:
    return stripe_objects.id_of(shown)


def discount_coupon(discount: JSONObject) -> object:
    """The coupon, or its id: at the top until clover, since then under ``source``."""
    return discount.get("coupon") or as_object(discount.get("source")).get("coupon")


def hides_currencies(coupon: JSONObject) -> bool:
    """Whether it may take off amounts of other currencies, which are shown only where they are asked for."""
    return bool(coupon.get("amount_off")) and not coupon.get("currency_options")


def read_discount(discount: JSONObject) -> Discount | None:
    """``None`` where the coupon is only named."""
    coupon = as_object(discount_coupon(discount))
    if not as_text(coupon.get("duration")):
        return None
    products = as_object(coupon.get("applies_to")).get("products")
    return Discount(
        id=discount_id(discount),
        percent_off=_percent(coupon.get("percent_off")),
        amounts_off=_amounts_off(coupon),
        is_lasting=_is_lasting(coupon),
        product_ids=frozenset(as_text(one) for one in products) if isinstance(products, list) else frozenset(),
        start=as_time(discount.get("start")),
        end=as_time(discount.get("end")),
    )


def _amounts_off(coupon: JSONObject) -> dict[str, int]:
    if not (own := as_count(coupon.get("amount_off"), 0)):
        return {}
    options = as_object(coupon.get("currency_options"))
    others = {code: as_count(as_object(option).get("amount_off"), 0) for code, option in options.items()}
    return {as_text(coupon.get("currency"), 8): own, **{code: amount for code, amount in others.items() if amount}}


def _is_lasting(coupon: JSONObject) -> bool:
    months = as_count(coupon.get("duration_in_months"), 0)
    return coupon.get("duration") == "forever" or (coupon.get("duration") == "repeating" and months != 1)


def _percent(value: Any) -> Fraction:
    try:
        number = Decimal(str(value)[:40])
    except InvalidOperation:
        return Fraction(0)
    return min(max(Fraction(number), Fraction(0)), Fraction(100)) if is_small(number) else Fraction(0)


def shown_discounts(subscription: JSONObject) -> list[object]:
    """All that a snapshot shows, of the subscription and of its items."""
    holders = [subscription, *stripe_objects.subscription_lines(subscription)]
    lists = [holder["discounts"] for holder in holders if isinstance(holder.get("discounts"), list)]
    single = [holder.get("discount") for holder in holders]
    return [one for one in (*(one for many in lists for one in many), *single) if one]
