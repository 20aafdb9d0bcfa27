"""The lifecycle of the local provider's subscriptions: trials end, periods renew, cards fail, dunning ends."""

from datetime import UTC, datetime, timedelta

from django.db import transaction

from saas.billing.models import LocalObject, Subscription
from saas.billing.providers.local import objects
from saas.ids import new_id

UNCHARGEABLE_LAST4 = "0341"
DUNNING_PERIOD = timedelta(days=14)  # from the failed renewal to the end
TRIAL_NOTICE = timedelta(days=3)  # before a trial's end, as Stripe gives it


def start_subscription(customer_id: str, price_id: str, now: datetime, *, trial_days: int = 0) -> LocalObject:
    """Create a subscription: paid, or on trial."""
    trial_end = now + timedelta(days=trial_days) if trial_days else None
    end = trial_end or objects.add_months(now, 1)
    price = objects.price_object(price_id)
    line = {
        "id": new_id("si"),
        "object": "subscription_item",
        "created": objects.timestamp(now),
        "discounts": [],
        "metadata": {},
        "price": price,
        "quantity": 1,
        **_period(now, end),
        "tax_rates": [],
    }
    row, _ = objects.create_object(
        "subscription",
        "sub",
        now,
        customer_id=customer_id,
        status="trialing" if trial_end else "active",
        currency=price["currency"],
        items=objects.list_object([line], "/v1/subscription_items"),
        collection_method="charge_automatically",
        discounts=[],
        metadata={},
        billing_cycle_anchor=objects.timestamp(trial_end or now),
        start_date=objects.timestamp(now),
        trial_end=objects.timestamp(trial_end) if trial_end else None,
        cancel_at=None,
        cancel_at_period_end=False,
        canceled_at=None,
        ended_at=None,
    )
    objects.record_event("customer.subscription.created", row, now)
    _paid_invoice(row, now, 0 if trial_end else price["unit_amount"])
    return row


def _period(start: datetime, end: datetime) -> dict[str, int]:
    return {"current_period_start": objects.timestamp(start), "current_period_end": objects.timestamp(end)}


def run_due_steps(until: datetime) -> int:
    """Run every step that is due by ``until``, each at its own time. Returns how many there were."""
    steps = 0
    for id in (
        LocalObject.objects.of_kind("subscription")
        .exclude(data__status__in=Subscription.TERMINAL)
        .values_list("pk", flat=True)
    ):
        while _step(id, until):
            steps += 1
    return steps


@transaction.atomic
def _step(id: str, until: datetime) -> bool:
    row = objects.lock_object(id, "subscription")
    at = next_step_at(row)
    if at is None or at > until:
        return False
    if _needs_trial_notice(row):
        objects.update_object(row, "customer.subscription.trial_will_end", at, told_of_trial_end=row.data["trial_end"])
    elif row.data["status"] == "past_due" or row.data["cancel_at_period_end"]:
        end_subscription(row, at)
    else:
        _renew(row, at)
    return True


def next_step_at(row: LocalObject) -> datetime | None:
    """When the next step of a subscription is due."""
    if row.data["status"] in Subscription.TERMINAL:
        return None
    if row.data["status"] == "past_due":
        return _moment(row.data["past_due_since"]) + DUNNING_PERIOD
    if _needs_trial_notice(row):
        return max(_moment(row.data["trial_end"]) - TRIAL_NOTICE, _moment(row.data["created"]))
    return period_end(row)


def _needs_trial_notice(row: LocalObject) -> bool:
    """Once for each end: an extended trial is announced again."""
    return row.data["status"] == "trialing" and bool(row.data.get("told_of_trial_end") != row.data["trial_end"])


def period_end(row: LocalObject) -> datetime:
    return _moment(row.data["items"]["data"][0]["current_period_end"])


def end_subscription(row: LocalObject, at: datetime, *, reason: str = "") -> None:
    """Cancel the subscription now."""
    if row.data["status"] not in Subscription.TERMINAL:
        ended = objects.timestamp(at)
        changes = {"cancellation_details": {"comment": reason}} if reason else {}
        canceled_at = row.data["canceled_at"] or ended
        objects.update_object(
            row,
            "customer.subscription.deleted",
            at,
            status="canceled",
            ended_at=ended,
            canceled_at=canceled_at,
            **changes,
        )


def _renew(row: LocalObject, at: datetime) -> None:
    line = row.data["items"]["data"][0]
    anchor = _moment(row.data["billing_cycle_anchor"])
    months = (at.year - anchor.year) * 12 + at.month - anchor.month + 1
    following = {**line, **_period(at, objects.add_months(anchor, months))}
    due = line["price"]["unit_amount"] + pending_cents(row)
    LocalObject.objects.filter(kind="invoiceitem", customer_id=row.customer_id).delete()
    objects.update_object(
        row, "customer.subscription.updated", at, status="active", items={**row.data["items"], "data": [following]}
    )
    if can_charge(row.customer_id):
        _paid_invoice(row, at, due)
        return
    invoice = _invoice(row, at, due)
    objects.record_event("invoice.payment_failed", invoice, at)
    later = at + timedelta(seconds=1)  # events have whole seconds; their order must be unambiguous
    objects.update_object(
        row, "customer.subscription.updated", later, status="past_due", past_due_since=objects.timestamp(later)
    )


def can_charge(customer_id: str) -> bool:
    """Whether a renewal is paid: with no card, too, but not with ``UNCHARGEABLE_LAST4``."""
    customer = LocalObject.objects.get(pk=customer_id)
    card = LocalObject.objects.filter(pk=customer.data["invoice_settings"]["default_payment_method"] or "").first()
    return card is None or card.data[card.data["type"]]["last4"] != UNCHARGEABLE_LAST4


def pay_open_invoices(customer_id: str, now: datetime) -> None:
    """Pay the open invoices with a new card; subscriptions that are past due become active."""
    if not can_charge(customer_id):
        return
    mine = LocalObject.objects.select_for_update().filter(customer_id=customer_id)
    for invoice in mine.filter(kind="invoice", data__status="open"):
        _pay(invoice, now, invoice.data["amount_due"])
    for row in mine.filter(kind="subscription", data__status="past_due"):
        objects.update_object(row, "customer.subscription.updated", now, status="active", past_due_since=None)


def pending_cents(row: LocalObject) -> int:
    """The prorations of plan changes that the next invoice will charge."""
    waiting = LocalObject.objects.filter(kind="invoiceitem", customer_id=row.customer_id)
    return sum(item.data["amount"] for item in waiting if item.data["subscription"] == row.id)


def _invoice(row: LocalObject, at: datetime, cents: int) -> LocalObject:
    number = LocalObject.objects.filter(kind="invoice", customer_id=row.customer_id).count() + 1
    invoice, _ = objects.create_object(
        "invoice",
        "in",
        at,
        customer_id=row.customer_id,
        status="open",
        number=f"{row.customer_id[-8:].upper()}-{number:04}",
        currency=row.data["currency"],
        subtotal=cents,
        total=cents,
        amount_due=cents,
        amount_paid=0,
        amount_remaining=cents,
        parent={"subscription_details": {"subscription": row.id}},
    )
    return invoice


def _paid_invoice(row: LocalObject, at: datetime, cents: int) -> None:
    _pay(_invoice(row, at, cents), at, max(cents, 0))


def _pay(invoice: LocalObject, at: datetime, cents: int) -> None:
    transitions = {"paid_at": objects.timestamp(at)}
    paid = {"status": "paid", "amount_paid": cents, "amount_remaining": 0}
    objects.update_object(invoice, "invoice.paid", at, **paid, status_transitions=transitions)


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
