"""The local provider's invoices: what is charged, less discounts, plus tax, less the customer's credit.

As at Stripe: a discount is taken off the sum, tax is added to what remains, and a sum below nothing becomes credit on the
customer's ``balance`` (below nothing: we owe them), which pays the next invoices.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

from django.conf import settings

from saas.billing.models import LocalObject
from saas.billing.providers.local import objects
from saas.ids import new_id

PER_CENT = Fraction(1, 100)


@dataclass(frozen=True)
class Line:
    """What is charged or credited, in the currency's smallest unit."""

    description: str
    amount: int
    is_proration: bool = False


@dataclass(frozen=True)
class Totals:
    """``amount_due`` is what is left to pay after the credit; ``ending_balance`` the customer's balance afterwards."""

    subtotal: int
    discounts: tuple[tuple[str, int], ...]  # the discount's id, and what it takes off
    tax: int
    starting_balance: int

    @property
    def discount(self) -> int:
        return sum(amount for _, amount in self.discounts)

    @property
    def total(self) -> int:
        return self.subtotal - self.discount + self.tax

    @property
    def credit(self) -> int:
        return max(-self.starting_balance, 0)

    @property
    def amount_due(self) -> int:
        return max(self.total - self.credit, 0)

    @property
    def ending_balance(self) -> int:
        return self.starting_balance + min(self.total, self.credit)


def rounded(amount: Fraction) -> int:
    """To the smallest unit, halves away from nothing."""
    exact = Decimal(amount.numerator) / Decimal(amount.denominator)
    return int(exact.quantize(Decimal(1), ROUND_HALF_UP))


def totals(subscription: LocalObject, lines: Sequence[Line], at: datetime) -> Totals:
    """Of an invoice with these lines, issued at ``at``."""
    customer = LocalObject.objects.get(pk=subscription.customer_id).data
    return sum_up(sum(line.amount for line in lines), live_discounts(subscription, at), customer)


def sum_up(subtotal: int, discounts: Sequence[dict[str, Any]], customer: dict[str, Any]) -> Totals:
    """Discounts and tax of a subtotal, and the credit of the customer."""
    taken_off = tuple(_discounts(discounts, subtotal))
    taxable = subtotal - sum(amount for _, amount in taken_off)
    tax = rounded(taxable * Fraction(Decimal(settings.BILLING_LOCAL_TAX_PERCENT)) * PER_CENT)
    return Totals(subtotal, taken_off, tax, int(customer.get("balance", 0)))


def live_discounts(subscription: LocalObject, at: datetime) -> list[dict[str, Any]]:
    """Those that count at ``at``: a discount ends with its months, or with the first invoice that it is taken off."""
    now = objects.timestamp(at)
    return [one for one in subscription.data["discounts"] if one["end"] is None or one["end"] > now]


def _discounts(discounts: Sequence[dict[str, Any]], subtotal: int) -> list[tuple[str, int]]:
    left, found = max(subtotal, 0), []
    for discount in discounts:
        coupon = discount["coupon"]
        percent = coupon["percent_off"]
        off = rounded(left * Fraction(str(percent)) * PER_CENT) if percent is not None else int(coupon["amount_off"])
        found.append((discount["id"], min(off, left)))
        left -= min(off, left)
    return found


def period_lines(subscription: LocalObject) -> list[Line]:
    """The price of a period, and what waits to be charged with it."""
    item = subscription.data["items"]["data"][0]
    price, quantity = item["price"], item["quantity"]
    lines = [Line(f"{quantity} × {price['id']}", price["unit_amount"] * quantity)]
    return lines + [Line("Change of the subscription", row.data["amount"], True) for row in pending_items(subscription)]


def pending_items(subscription: LocalObject) -> list[LocalObject]:
    """What the subscription's next invoice will charge or credit besides its price."""
    waiting = LocalObject.objects.of_kind("invoiceitem").filter(customer_id=subscription.customer_id).order_by("pk")
    return [row for row in waiting if row.data["subscription"] == subscription.pk]


def add_pending_item(subscription: LocalObject, amount: int, at: datetime) -> None:
    objects.create_object(
        "invoiceitem", "ii", at, customer_id=subscription.customer_id, subscription=subscription.pk, amount=amount
    )


def issue_invoice(subscription: LocalObject, lines: Sequence[Line], at: datetime) -> LocalObject:
    """An open invoice; the items that waited are in ``lines`` and wait no longer, and credit is used up."""
    customer = LocalObject.objects.get(pk=subscription.customer_id).data
    sums = sum_up(sum(line.amount for line in lines), live_discounts(subscription, at), customer)
    for item in pending_items(subscription):
        item.delete()
    id = new_id("in")
    invoice, _ = objects.create_object(
        "invoice",
        "in",
        at,
        id=id,
        customer_id=subscription.customer_id,
        customer_name=customer.get("name"),
        customer_email=customer.get("email"),
        customer_address=customer.get("address"),
        customer_tax_ids=customer.get("tax_ids") or [],
        status="open",
        hosted_invoice_url=f"{settings.SERVICE_BASE_URLS['product']}/billing/invoices/{id}",
        number=_next_number(subscription),
        currency=subscription.data["currency"],
        subtotal=sums.subtotal,
        total_discount_amounts=[{"amount": amount, "discount": id} for id, amount in sums.discounts],
        total_excluding_tax=sums.subtotal - sums.discount,
        total_taxes=_taxes(sums),
        total=sums.total,
        starting_balance=sums.starting_balance,
        ending_balance=sums.ending_balance,
        amount_due=sums.amount_due,
        amount_paid=0,
        amount_remaining=sums.amount_due,
        attempt_count=0,
        lines=objects.list_object([_line_object(line, subscription) for line in lines], "/v1/invoices/lines"),
        parent={"subscription_details": {"subscription": subscription.pk}},
    )
    _use_up(subscription, sums, at)
    return invoice


def _taxes(sums: Totals) -> list[dict[str, Any]]:
    taxable = sums.subtotal - sums.discount
    return [{"amount": sums.tax, "tax_behavior": "exclusive", "taxable_amount": taxable}] if sums.tax else []


def _line_object(line: Line, subscription: LocalObject) -> dict[str, Any]:
    return {
        "id": new_id("il"),
        "object": "line_item",
        "amount": line.amount,
        "currency": subscription.data["currency"],
        "description": line.description,
        "proration": line.is_proration,
    }


def _next_number(subscription: LocalObject) -> str:
    of_customer = LocalObject.objects.of_kind("invoice").filter(customer_id=subscription.customer_id)
    return f"{subscription.customer_id[-8:].upper()}-{of_customer.count() + 1:04}"


def _use_up(subscription: LocalObject, sums: Totals, at: datetime) -> None:
    """The credit that was used or gained, and the discounts that are taken off once."""
    if sums.ending_balance != sums.starting_balance:
        customer = objects.lock_object(subscription.customer_id, "customer")
        objects.update_object(customer, "customer.updated", at, balance=sums.ending_balance)
    used = {id for id, _ in sums.discounts}
    discounts = subscription.data["discounts"]
    left = [one for one in discounts if not (one["id"] in used and one["coupon"]["duration"] == "once")]
    if left != discounts and sums.subtotal > 0:
        objects.update_object(subscription, "customer.subscription.updated", at, discounts=left)


def pay_invoice(invoice: LocalObject, at: datetime) -> None:
    transitions = {"paid_at": objects.timestamp(at)}
    paid = {"status": "paid", "amount_paid": invoice.data["amount_due"], "amount_remaining": 0}
    objects.update_object(invoice, "invoice.paid", at, **paid, status_transitions=transitions)


def fail_payment(invoice: LocalObject, at: datetime, *, needs_action: bool, next_attempt: datetime | None) -> None:
    """Another attempt to charge it has failed; ``needs_action``: the bank asks the customer to confirm."""
    if needs_action:
        objects.record_event("invoice.payment_action_required", invoice, at)
    objects.update_object(
        invoice,
        "invoice.payment_failed",
        at,
        attempt_count=invoice.data.get("attempt_count", 0) + 1,
        next_payment_attempt=objects.timestamp(next_attempt) if next_attempt else None,
    )
