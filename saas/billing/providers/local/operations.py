"""The operations of the local provider, called by its gateway and its pages.

Each runs in its caller's transaction. The caller decides how the events travel: the gateway moves them to the inbox
(``objects.move_events_to_inbox``), the pages have them delivered to the webhooks service.

Cards fail in named ways, by their last four digits, as Stripe's test cards do.
"""

from datetime import datetime
from fractions import Fraction
from typing import Any

from django.utils.translation import gettext_noop as _

from saas.billing.models import LocalObject
from saas.billing.providers.interface import PaymentDeclined, ProviderRefused
from saas.billing.providers.local import invoicing, lifecycle, objects, promotions

DECLINES = {
    "0002": _("The card was declined."),
    "9995": _("The card was declined: it has insufficient funds."),
    "0069": _("The card was declined: it has expired."),
    "0127": _("The card was declined: its security code is wrong."),
}


def complete_session(session: LocalObject, now: datetime) -> None:
    """Create the subscription and its first invoice, and complete the session."""
    bought = session.data["metadata"]
    trial_days = session.data["trial_period_days"]
    discounts = [promotions.new_discount(bought["promotion_code"], now)] if bought.get("promotion_code") else []
    subscription = lifecycle.create_subscription(
        session.customer_id,
        lifecycle.NewSubscription(
            bought["price_id"], bought.get("quantity", 1), trial_days, bought.get("needs_card", True), discounts
        ),
        now,
    )
    objects.update_object(
        session,
        "checkout.session.completed",
        now,
        status="complete",
        payment_status="no_payment_required" if trial_days else "paid",
        subscription=subscription.id,
    )


def require_currency(customer_id: str, currency: str) -> None:
    """Credit in one currency pays nothing in another: raise ``ProviderRefused``, as Stripe does."""
    customer = objects.lock_customer(customer_id).data
    if customer.get("balance") and _currency_of_balance(customer_id) not in {"", currency}:
        raise ProviderRefused("This customer has credit in another currency.")


def _currency_of_balance(customer_id: str) -> str:
    invoices = LocalObject.objects.of_kind("invoice").filter(customer_id=customer_id).order_by("-pk")
    latest = invoices.first()
    return str(latest.data["currency"]) if latest else ""


def pay_session(session: LocalObject, last4: str, now: datetime) -> None:
    """Add the card and complete the session. Raises ``PaymentDeclined``; ``ProviderRefused`` for a session that is over."""
    if session.data["status"] != "open":
        raise ProviderRefused("This checkout is over.")
    add_test_card(session.customer_id, last4, now)
    complete_session(session, now)


def expire_session(session: LocalObject, now: datetime) -> None:
    """Expire an open session; one that is over stays as it is."""
    if session.data["status"] == "open":
        objects.update_object(session, "checkout.session.expired", now, status="expired")


def add_test_card(customer_id: str, last4: str, now: datetime) -> str:
    """Attach a test card that is valid for another year."""
    return attach_payment_method(
        customer_id, "card", now, brand="visa", last4=last4, exp_month=now.month, exp_year=now.year + 1
    )


def attach_payment_method(customer_id: str, type: str, now: datetime, **details: Any) -> str:
    """Attach a payment method, make it the default, and pay the open invoices with it. Raises ``PaymentDeclined``."""
    if sentence := DECLINES.get(details["last4"]):
        raise PaymentDeclined(sentence)
    customer = objects.lock_customer(customer_id)
    fields: dict[str, Any] = {"type": type, type: details}
    row, _ = objects.create_object("payment_method", "pm", now, customer_id=customer_id, **fields)
    objects.record_event("payment_method.attached", row, now)
    set_default_payment_method(customer, row.id, now)
    lifecycle.pay_open_invoices(customer_id, now)
    return row.id


def detach_payment_method(row: LocalObject, now: datetime) -> None:
    objects.update_object(row, "payment_method.detached", now, customer=None)
    customer = objects.lock_object(row.customer_id, "customer")
    if customer.data["invoice_settings"]["default_payment_method"] == row.id:
        set_default_payment_method(customer, None, now)


def set_default_payment_method(customer: LocalObject, payment_method_id: str | None, now: datetime) -> None:
    invoice_settings = {"default_payment_method": payment_method_id}
    objects.update_object(customer, "customer.updated", now, invoice_settings=invoice_settings)


def replace_tax_ids(customer_id: str, kind: str, value: str, now: datetime) -> None:
    """Have this one and no other; none where it is empty. The office knows all that are numbers of their kind."""
    there = list(LocalObject.objects.of_kind("tax_id").filter(customer_id=customer_id))
    others = [row for row in there if (row.data["type"], row.data["value"]) != (kind, value)]
    if value and len(others) == len(there):
        checked = {"status": "verified", "verified_name": None, "verified_address": None}
        row, _is_new = objects.create_object(
            "tax_id", "txi", now, customer_id=customer_id, type=kind, value=value, country=None, verification=checked
        )
        objects.record_event("customer.tax_id.created", row, now)
    for row in others:
        objects.record_event("customer.tax_id.deleted", row, now)
        row.delete()


def change_price(
    row: LocalObject,
    price_id: str,
    now: datetime,
    *,
    quantity: int | None = None,
    prorate: bool = True,
    prorated_at: datetime | None = None,
    needs_payment: bool = False,
) -> None:
    """Change price and quantity now. The next invoice charges or credits the difference for the rest of the period, as of
    ``prorated_at``; a new period that begins (``begins_a_period``) is charged at once. Raises ``PaymentDeclined`` where
    that ``needs_payment`` and fails: the caller takes back what was done. Where one is owed already, nothing waits for it."""
    item, new = plan_item(row), changed_item(row, price_id, quantity)
    if begins_a_period(item, new):
        owed_before = row.data["status"] == "past_due"
        _begin_period(row, new, now, prorated_at or now)
        if needs_payment and not owed_before and row.data["status"] == "past_due":
            raise PaymentDeclined(_("The card was declined. Nothing has changed."))
        return
    if prorate and (difference := _proration(row, new, prorated_at or now)):
        invoicing.add_pending_item(row, difference, now)
    _replace_item(row, new, now)


def plan_item(row: LocalObject) -> dict[str, Any]:
    """The subscription's item with the plan's price."""
    return dict(row.data["items"]["data"][0])


def changed_item(row: LocalObject, price_id: str, quantity: int | None) -> dict[str, Any]:
    item = plan_item(row)
    return {**item, "price": objects.price_object(price_id), "quantity": quantity or item["quantity"]}


def begins_a_period(item: dict[str, Any], new: dict[str, Any]) -> bool:
    """With another interval, and where it has cost nothing (``Price.begins_a_period_after``)."""
    is_first_paid = item["price"]["unit_amount"] == 0 != new["price"]["unit_amount"]
    return is_first_paid or lifecycle.interval_months(item["price"]) != lifecycle.interval_months(new["price"])


def _replace_item(row: LocalObject, item: dict[str, Any], now: datetime, **changes: Any) -> None:
    others = row.data["items"]["data"][1:]
    items = {**row.data["items"], "data": [item, *others]}
    objects.update_object(row, "customer.subscription.updated", now, items=items, **changes)


def _begin_period(row: LocalObject, item: dict[str, Any], now: datetime, prorated_at: datetime) -> None:
    if row.data["status"] == "trialing":
        _replace_item(row, item, now)
        return
    if unused := -rest_of_period(row, prorated_at, item_amount(plan_item(row))):
        invoicing.add_pending_item(row, unused, now)
    period = lifecycle.period_fields(now, objects.add_months(now, lifecycle.interval_months(item["price"])))
    _replace_item(row, {**item, **period}, now, billing_cycle_anchor=objects.timestamp(now))
    lifecycle.charge(row, invoicing.issue_invoice(row, invoicing.period_lines(row), now), now)


def apply_coupon(row: LocalObject, promotion_code_id: str, now: datetime) -> None:
    """Give the subscription a discount in addition to those that it has. Raises ``ProviderRefused`` for one that it has."""
    if any(discount.get("promotion_code") == promotion_code_id for discount in row.data["discounts"]):
        raise ProviderRefused("This code is in use already.")
    discounts = [*row.data["discounts"], promotions.new_discount(promotion_code_id, now)]
    objects.update_object(row, "customer.subscription.updated", now, discounts=discounts)


def set_cancel_at_period_end(row: LocalObject, now: datetime, *, value: bool, reason: str = "") -> None:
    objects.update_object(
        row,
        "customer.subscription.updated",
        now,
        cancel_at_period_end=value,
        cancel_at=objects.timestamp(lifecycle.period_end(row)) if value else None,
        canceled_at=objects.timestamp(now) if value else None,
        cancellation_details={"comment": reason or None},
    )


def refund_invoice(invoice: LocalObject, cents: int, now: datetime, *, idempotency_key: str) -> LocalObject:
    """Raises ``ProviderRefused`` for more than is left of what was paid."""
    payment = f"pi_{invoice.pk}"
    if before := LocalObject.objects.filter(idempotency_key=idempotency_key).first():
        return before
    refunds = LocalObject.objects.of_kind("refund").filter(
        customer_id=invoice.customer_id, data__payment_intent=payment
    )
    left = invoice.data["amount_paid"] - sum(refund.data["amount"] for refund in refunds)
    if invoice.data["status"] != "paid" or cents > left:
        raise ProviderRefused("This is more than is left of what was paid.")
    paid, _ = objects.create_object(
        "invoice_payment", "inpay", now, customer_id=invoice.customer_id, invoice=invoice.pk, status="paid",
        payment={"type": "payment_intent", "payment_intent": payment},
    )  # fmt: skip
    objects.record_event("invoice_payment.paid", paid, now)
    refund, _ = objects.create_object(
        "refund", "re", now, customer_id=invoice.customer_id, idempotency_key=idempotency_key, amount=cents,
        currency=invoice.data["currency"], status="succeeded", payment_intent=payment, charge=None, reason=None,
    )  # fmt: skip
    objects.record_event("refund.created", refund, now)
    return refund


def credit_customer(customer_id: str, cents: int, currency: str, now: datetime, *, idempotency_key: str) -> None:
    """``balance`` is what the customer owes: a credit is below nothing, as at Stripe."""
    customer = objects.lock_customer(customer_id)
    _, is_new = objects.create_object(
        "customer_balance_transaction", "cbtxn", now, customer_id=customer_id, idempotency_key=idempotency_key,
        amount=-cents, currency=currency,
    )  # fmt: skip
    if is_new:
        balance = int(customer.data.get("balance") or 0) - cents
        objects.update_object(customer, "customer.updated", now, balance=balance)


def _proration(subscription: LocalObject, new: dict[str, Any], at: datetime) -> int:
    """The difference for the rest of the period. For a trial none."""
    if subscription.data["status"] == "trialing":
        return 0
    return rest_of_period(subscription, at, item_amount(new) - item_amount(plan_item(subscription)))


def rest_of_period(subscription: LocalObject, now: datetime, amount: int) -> int:
    """The share of ``amount``, of a whole period, for what is left of it."""
    item = plan_item(subscription)
    start, end = int(item["current_period_start"]), int(item["current_period_end"])
    return invoicing.rounded(Fraction(amount * max(0, end - objects.timestamp(now)), end - start))


def item_amount(item: dict[str, Any]) -> int:
    return int(item["price"]["unit_amount"]) * int(item["quantity"])
