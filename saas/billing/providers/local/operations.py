"""The operations of the local provider, called by its gateway and its pages.

Each runs in its caller's transaction. The caller decides how the events travel: the gateway moves them to the inbox
(``objects.move_events_to_inbox``), the pages have them delivered to the webhooks service.

Cards fail in named ways, by their last four digits, as Stripe's test cards do.
"""

from datetime import datetime
from typing import Any

from saas.billing.models import LocalObject
from saas.billing.providers.interface import PaymentDeclined, ProviderRefused
from saas.billing.providers.local import lifecycle, objects

DECLINES = {
    "0002": "The card was declined.",
    "9995": "The card was declined: it has insufficient funds.",
    "0069": "The card was declined: it has expired.",
    "0127": "The card was declined: its security code is wrong.",
}


def complete_session(session: LocalObject, now: datetime) -> None:
    """Create the subscription and its first invoice, and complete the session."""
    trial_days = session.data["trial_period_days"]
    subscription = lifecycle.start_subscription(
        session.customer_id, session.data["metadata"]["price_id"], now, trial_days=trial_days
    )
    objects.update_object(
        session,
        "checkout.session.completed",
        now,
        status="complete",
        payment_status="no_payment_required" if trial_days else "paid",
        subscription=subscription.id,
    )


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
    customer = objects.lock_object(customer_id, "customer")
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


def change_price(row: LocalObject, price_id: str, now: datetime) -> None:
    """Change the price now; the next invoice charges the difference for the rest of the period."""
    line, new = row.data["items"]["data"][0], objects.price_object(price_id)
    if credit := _proration(row, new["unit_amount"], now):
        objects.create_object("invoiceitem", "ii", now, customer_id=row.customer_id, subscription=row.id, amount=credit)
    rows = [{**other, "price": new} if other is line else other for other in row.data["items"]["data"]]
    objects.update_object(row, "customer.subscription.updated", now, items={**row.data["items"], "data": rows})


def amount_due_after_change(row: LocalObject, price_id: str, now: datetime) -> int:
    """What the next invoice would be, in cents."""
    cents = int(objects.price_object(price_id)["unit_amount"])
    return cents + lifecycle.pending_cents(row) + _proration(row, cents, now)


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


def _proration(subscription: LocalObject, new_cents: int, now: datetime) -> int:
    """The difference for the rest of the period at the new price, in cents. For a trial none."""
    line = subscription.data["items"]["data"][0]
    if subscription.data["status"] == "trialing":
        return 0
    start, end = int(line["current_period_start"]), int(line["current_period_end"])
    rest = max(0, end - objects.timestamp(now)) / (end - start)
    return round((new_cents - int(line["price"]["unit_amount"])) * rest)
