"""What a subscription brings a month: net of lasting discounts and of tax, in the minor unit of its currency.

What cannot be known from the price (tiers, usage, an amount that is no number) is left out, and said in ``faults``: never
counted as nothing in silence (decision 165).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from saas.billing.sync import stripe_objects
from saas.billing.sync.discounts import LARGEST_NUMBER, NO_DISCOUNTS, CustomerDiscounts, Discount, discount_id, is_small
from saas.security.untrusted_json import JSONObject, as_count, as_integer, as_object, as_objects, as_text

_PERCENT = Fraction(1, 100)
_OTHER_CURRENCY = "is in another currency, and is left out"
_MONTHS = {"day": Fraction(12, 365), "week": Fraction(12, 52), "month": Fraction(1), "year": Fraction(12)}


@dataclass(frozen=True)
class MonthlyAmount:
    """``faults`` say what is not in ``cents``, a sentence each. ``hides_amounts``: the provider shows some of it only where it
    is asked."""

    cents: int
    faults: tuple[str, ...] = ()
    hides_amounts: bool = False


@dataclass
class _Line:
    """One item: what it costs a month, before discounts and with the tax that is in it."""

    shown: JSONObject
    months: Fraction
    cost: Fraction
    product_id: str


@dataclass
class _Calculation:
    subscription: JSONObject
    at: datetime | None
    discounts: CustomerDiscounts
    faults: list[str] = field(default_factory=list)
    hides_amounts: bool = False

    @property
    def currency(self) -> str:
        return as_text(self.subscription.get("currency"), 8)

    def total(self) -> Fraction:
        if not stripe_objects.has_all_lines(self.subscription):
            self.faults.append("it has more items than the provider shows: those are left out")
        lines = [line for shown in stripe_objects.subscription_lines(self.subscription) if (line := self._line(shown))]
        for line in lines:
            if line.shown is not self.subscription:
                _deduct(self._own_discounts(line.shown), [line], self.currency)
        _deduct(self._own_discounts(self.subscription) or self._customers_discounts(), lines, self.currency)
        return sum((self._net(line) for line in lines), Fraction(0))

    def _line(self, shown: JSONObject) -> _Line | None:
        price = _in_currency(stripe_objects.line_price(shown), self.currency)
        recurring = _recurring(price)
        name = stripe_objects.line_price_id(shown) or "without an id"
        if _is_paid_once(price):
            return None
        if fault := _fault(price, recurring, shown, self.currency):
            self.faults.append(f"price {name} {fault}")
            self.hides_amounts |= fault == _OTHER_CURRENCY
            return None
        months = _months(price)
        quantity = as_count(shown.get("quantity"), 1)
        cost = max(unit_amount(price) or Fraction(0), Fraction(0)) * _units(price, quantity) / months
        return _Line(shown, months, cost, stripe_objects.id_of(price.get("product")))

    def _own_discounts(self, discounted: JSONObject) -> list[Discount]:
        """Since 2025 ``discounts`` has all, most often as ids; before, ``discount`` had the one. Those that last."""
        named = discounted.get("discounts")
        shown = named if isinstance(named, list) and named else [discounted.get("discount")]
        found = []
        for one in filter(None, shown):
            discount = self.discounts.read(one)
            if discount is None:
                self._leave_out(discount_id(one))
            elif discount.lasts_at(self.at):
                found.append(discount)
        return self._in_our_currency(found)

    def _customers_discounts(self) -> list[Discount]:
        """They count where the subscription has none of its own."""
        for id in self.discounts.unread:
            self._leave_out(id)
        return self._in_our_currency([it for it in self.discounts.of_customer if it.lasts_at(self.at)])

    def _in_our_currency(self, discounts: Sequence[Discount]) -> list[Discount]:
        for discount in discounts:
            if discount.amount_off(self.currency) is None:
                self._leave_out(discount.id)
        return [it for it in discounts if it.amount_off(self.currency) is not None]

    def _leave_out(self, discount_id: str) -> None:
        self.faults.append(f"discount {discount_id} is named, and what it takes off is not known")
        self.hides_amounts = True

    def _net(self, line: _Line) -> Fraction:
        """Without the tax that is in the price."""
        rates = as_objects(line.shown.get("tax_rates")) or as_objects(self.subscription.get("default_tax_rates"))
        included = [decimal(rate.get("percentage")) or Fraction(0) for rate in rates if rate.get("inclusive") is True]
        price = stripe_objects.line_price(line.shown)
        is_automatic = as_object(self.subscription.get("automatic_tax")).get("enabled") is True
        if is_automatic and price.get("tax_behavior") == "inclusive" and not rates:
            self.faults.append(
                f"price {stripe_objects.id_of(price)} includes a tax whose rate is not shown: counted with it"
            )
        return line.cost / (1 + sum(included, Fraction(0)) * _PERCENT)


def monthly_amount(
    subscription: JSONObject, *, at: datetime | None = None, discounts: CustomerDiscounts = NO_DISCOUNTS
) -> MonthlyAmount:
    """What all lines of a snapshot bring a month at the time ``at``, rounded once and never below nothing."""
    calculation = _Calculation(subscription, at, discounts)
    cents = round(calculation.total())
    if cents >= LARGEST_NUMBER:
        return MonthlyAmount(0, (*calculation.faults, "its amount is too large"))
    return MonthlyAmount(cents, tuple(dict.fromkeys(calculation.faults)), calculation.hides_amounts)


def _in_currency(price: JSONObject, currency: str) -> JSONObject:
    """The price with its amount for the currency. Of one in several currencies, subscriptions show the first, and the others
    only where they are asked for."""
    options = as_object(as_object(price.get("currency_options")).get(currency))
    if not options or price.get("currency") == currency:
        return price
    amounts = {name: options.get(name) for name in ("unit_amount", "unit_amount_decimal")}
    return {**price, "amount": None, "amount_decimal": None, **amounts, "currency": currency}


def _fault(price: JSONObject, recurring: JSONObject, line: JSONObject, currency: str) -> str:
    """Why the price cannot be counted; empty if it can."""
    quantity = line.get("quantity")
    checks: Mapping[str, bool] = {
        "is metered: it depends on usage, and is left out": recurring.get("usage_type") == "metered",
        "is tiered, and is left out": price.get("billing_scheme") == "tiered" or bool(price.get("tiers_mode")),
        _OTHER_CURRENCY: bool(currency) and price.get("currency") not in {None, "", currency},
        "has an unknown interval": not _months(price),
        "has an amount that cannot be read": unit_amount(price) is None,
        "has a quantity that cannot be read": quantity is not None and as_count(quantity, -1) < 0,
    }
    return next((fault for fault, is_so in checks.items() if is_so), "")


def _deduct(discounts: Sequence[Discount], lines: Sequence[_Line], currency: str) -> None:
    """Take the discounts off the lines, one after the other; an amount in proportion to what they cost."""
    for discount in discounts:
        eligible = [line for line in lines if discount.is_for(line.product_id)]
        costs = sum((line.cost for line in eligible), Fraction(0))
        if not costs:
            continue
        amount = (discount.amount_off(currency) or 0) / eligible[0].months
        left = 1 - discount.percent_off * _PERCENT - amount / costs
        for line in eligible:
            line.cost *= max(left, Fraction(0))


def _is_paid_once(price: JSONObject) -> bool:
    """It says so. A price that is only named, or was deleted, says nothing, and is no price of nothing."""
    has_interval = bool(_recurring(price).get("interval"))
    return not has_interval and (price.get("type") == "one_time" or price.get("recurring", price) is None)


def _recurring(price: JSONObject) -> JSONObject:
    return as_object(price.get("recurring")) or price


def _months(price: JSONObject) -> Fraction:
    """How many months a price is for; 0 where that is not known."""
    recurring = _recurring(price)
    every = max(as_count(recurring.get("interval_count"), 1), 1)
    return _MONTHS.get(as_text(recurring.get("interval")), Fraction(0)) * every


def _units(price: JSONObject, quantity: int) -> int:
    """A price per package counts packages."""
    package = as_object(price.get("transform_quantity"))
    if not (size := as_count(package.get("divide_by"), 0)):
        return quantity
    return -(-quantity // size) if package.get("round") == "up" else quantity // size


def unit_amount(price: JSONObject) -> Fraction | None:
    """The price of one unit: ``unit_amount``, its decimal, or ``amount`` of a plan; ``None`` where none can be read."""
    for name in ("unit_amount", "amount"):
        if (amount := as_integer(price.get(name))) is not None:
            return Fraction(amount)
    for name in ("unit_amount_decimal", "amount_decimal"):
        if (fraction := decimal(price.get(name))) is not None:
            return fraction
    return None


def decimal(value: object) -> Fraction | None:
    """A number with decimals, as JSON or as text."""
    text = value if isinstance(value, str) else str(value) if isinstance(value, int | float) else ""
    try:
        number = Decimal(as_text(text, 40))
    except InvalidOperation:
        return None
    return Fraction(number) if is_small(number) else None
