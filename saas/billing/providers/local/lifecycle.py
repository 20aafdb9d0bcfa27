"""The lifecycle of the local provider's subscriptions: trials end, periods renew, cards fail, dunning ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from saas.billing.models import LocalObject, Subscription
from saas.billing.providers.local import invoicing, objects
from saas.ids import new_id

UNCHARGEABLE_LAST4 = "0341"
AUTHENTICATED_LAST4 = {"3184"}  # 3-D Secure: each payment is confirmed by the customer
RETRY_AFTER = (timedelta(days=3), timedelta(days=5), timedelta(days=7))  # from the failed renewal
DUNNING_PERIOD = timedelta(days=14)  # from the failed renewal to the end
TRIAL_NOTICE = timedelta(days=3)  # before a trial's end, as Stripe gives it


@dataclass(frozen=True)
class NewSubscription:
    """What is bought. ``discounts`` are Stripe-shaped; without ``needs_card`` a trial that ends without a card pauses."""

    price_id: str
    quantity: int = 1
    trial_days: int = 0
    needs_card: bool = True
    discounts: Sequence[dict[str, Any]] = ()


def start_subscription(customer_id: str, price_id: str, now: datetime, *, trial_days: int = 0) -> LocalObject:
    """Create a subscription to one unit: paid, or on trial."""
    return create_subscription(customer_id, NewSubscription(price_id, trial_days=trial_days), now)


def create_subscription(customer_id: str, wanted: NewSubscription, now: datetime) -> LocalObject:
    """Create a subscription: paid, or on trial."""
    trial_end = now + timedelta(days=wanted.trial_days) if wanted.trial_days else None
    item = _new_item(wanted, now, trial_end)
    row, _ = objects.create_object(
        "subscription",
        "sub",
        now,
        customer_id=customer_id,
        status="trialing" if trial_end else "active",
        currency=item["price"]["currency"],
        items=objects.list_object([item], "/v1/subscription_items"),
        collection_method="charge_automatically",
        discounts=list(wanted.discounts),
        metadata={},
        billing_cycle_anchor=objects.timestamp(trial_end or now),
        start_date=objects.timestamp(now),
        trial_end=objects.timestamp(trial_end) if trial_end else None,
        trial_settings={"end_behavior": {"missing_payment_method": "create_invoice" if wanted.needs_card else "pause"}},
        cancel_at=None,
        cancel_at_period_end=False,
        canceled_at=None,
        ended_at=None,
    )
    objects.record_event("customer.subscription.created", row, now)
    lines = [invoicing.Line("Trial", 0)] if trial_end else invoicing.period_lines(row)
    invoicing.pay_invoice(invoicing.issue_invoice(row, lines, now), now)
    return row


def _new_item(wanted: NewSubscription, now: datetime, trial_end: datetime | None) -> dict[str, Any]:
    price = objects.price_object(wanted.price_id)
    return {
        "id": new_id("si"),
        "object": "subscription_item",
        "created": objects.timestamp(now),
        "discounts": [],
        "metadata": {},
        "price": price,
        "quantity": wanted.quantity,
        **period_fields(now, trial_end or objects.add_months(now, interval_months(price))),
        "tax_rates": [],
    }


def interval_months(price: dict[str, Any]) -> int:
    return (12 if price["recurring"]["interval"] == "year" else 1) * int(price["recurring"]["interval_count"])


def period_fields(start: datetime, end: datetime) -> dict[str, int]:
    return {"current_period_start": objects.timestamp(start), "current_period_end": objects.timestamp(end)}


def run_due_steps(until: datetime) -> int:
    """Run every step that is due by ``until``, each at its own time. Returns how many there were."""
    steps = 0
    for id in [row.pk for row in perhaps_due(until) if _is_due(row, until)]:
        while _step(id, until):
            steps += 1
    return steps


def perhaps_due(until: datetime) -> QuerySet[LocalObject]:
    """Subscriptions whose next step may be due: their period is over, or they are on trial or past due. The others, which are
    most, are not read at every tick of the clock."""
    live = LocalObject.objects.of_kind("subscription").exclude(data__status__in=Subscription.TERMINAL)
    period_is_over = Q(data__items__data__0__current_period_end__lte=objects.timestamp(until))
    return live.filter(period_is_over | Q(data__status__in=["trialing", "past_due"]))


def _is_due(row: LocalObject, until: datetime) -> bool:
    at = next_step_at(row)
    return at is not None and at <= until


@transaction.atomic
def _step(id: str, until: datetime) -> bool:
    row = objects.lock_object(id, "subscription")
    at = next_step_at(row)
    if at is None or at > until:  # another process has run it
        return False
    if _needs_trial_notice(row):
        objects.update_object(row, "customer.subscription.trial_will_end", at, told_of_trial_end=row.data["trial_end"])
    elif row.data["status"] == "past_due" and at < dunning_end(row):
        _retry_payment(row, at)
    elif row.data["status"] == "past_due" or row.data["cancel_at_period_end"]:
        end_subscription(row, at)
    elif row.data["status"] == "trialing" and _pauses_without_card(row):
        objects.update_object(row, "customer.subscription.paused", at, status="paused")
    else:
        _renew(row, at)
    return True


def next_step_at(row: LocalObject) -> datetime | None:
    """When the next step of a subscription is due."""
    if row.data["status"] in {*Subscription.TERMINAL, Subscription.Status.PAUSED}:
        return None
    if row.data["status"] == "past_due":
        return _next_attempt_at(row) or dunning_end(row)
    if _needs_trial_notice(row):
        return max(_moment(row.data["trial_end"]) - TRIAL_NOTICE, _moment(row.data["created"]))
    return period_end(row)


def dunning_end(row: LocalObject) -> datetime:
    """When a subscription that is past due is canceled."""
    return _moment(row.data["past_due_since"]) + DUNNING_PERIOD


def _next_attempt_at(row: LocalObject) -> datetime | None:
    """When a subscription that is past due is charged again."""
    attempts = row.data.get("payment_attempts", 1)
    if attempts > len(RETRY_AFTER):
        return None
    return _moment(row.data["past_due_since"]) + RETRY_AFTER[attempts - 1]


def _needs_trial_notice(row: LocalObject) -> bool:
    """Once for each end: an extended trial is announced again."""
    return row.data["status"] == "trialing" and bool(row.data.get("told_of_trial_end") != row.data["trial_end"])


def _pauses_without_card(row: LocalObject) -> bool:
    end_behavior = row.data.get("trial_settings", {}).get("end_behavior", {})
    return end_behavior.get("missing_payment_method") == "pause" and default_card(row.customer_id) is None


def period_end(row: LocalObject) -> datetime:
    return _moment(row.data["items"]["data"][0]["current_period_end"])


def end_subscription(row: LocalObject, at: datetime, *, reason: str = "") -> None:
    """Cancel the subscription now. What waits to be charged is charged no more."""
    if row.data["status"] not in Subscription.TERMINAL:
        for item in invoicing.pending_items(row):
            item.delete()
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
    """Begin the next period, and charge it."""
    line, anchor = row.data["items"]["data"][0], _moment(row.data["billing_cycle_anchor"])
    elapsed = (at.year - anchor.year) * 12 + at.month - anchor.month
    following = {**line, **period_fields(at, objects.add_months(anchor, elapsed + interval_months(line["price"])))}
    objects.update_object(
        row,
        "customer.subscription.updated",
        at,
        status="active",
        items={**row.data["items"], "data": [following]},
    )
    charge(row, invoicing.issue_invoice(row, invoicing.period_lines(row), at), at)


def charge(row: LocalObject, invoice: LocalObject, at: datetime) -> None:
    """Charge the invoice to the customer's card; a failure makes the subscription past due."""
    if invoice.data["amount_due"] == 0 or can_charge(row.customer_id):
        invoicing.pay_invoice(invoice, at)
        return
    later = at + timedelta(seconds=1)  # events have whole seconds; their order must be unambiguous
    _fail_payment(row, invoice, at, next_attempt=later + RETRY_AFTER[0])
    objects.update_object(
        row,
        "customer.subscription.updated",
        later,
        status="past_due",
        past_due_since=objects.timestamp(later),
        payment_attempts=1,
    )


def _fail_payment(row: LocalObject, invoice: LocalObject, at: datetime, *, next_attempt: datetime | None) -> None:
    card = default_card(row.customer_id)
    invoicing.fail_payment(invoice, at, needs_action=card in AUTHENTICATED_LAST4, next_attempt=next_attempt)


def _retry_payment(row: LocalObject, at: datetime) -> None:
    """Another attempt, which fails while the card is the same: a new one pays at once (``pay_open_invoices``)."""
    row.data = {**row.data, "payment_attempts": row.data.get("payment_attempts", 1) + 1}
    row.save(update_fields=["data"])
    for invoice in _open_invoices(row.customer_id).filter(data__parent__subscription_details__subscription=row.pk):
        _fail_payment(row, invoice, at, next_attempt=_next_attempt_at(row))


def default_card(customer_id: str) -> str | None:
    """The last four digits of the default card."""
    customer = LocalObject.objects.get(pk=customer_id)
    card = LocalObject.objects.filter(pk=customer.data["invoice_settings"]["default_payment_method"] or "").first()
    return str(card.data[card.data["type"]]["last4"]) if card else None


def can_charge(customer_id: str) -> bool:
    """Whether a renewal is paid: with no card, too, but not with one that fails or asks the customer to confirm."""
    return default_card(customer_id) not in {UNCHARGEABLE_LAST4, *AUTHENTICATED_LAST4}


def pay_open_invoices(customer_id: str, now: datetime, *, is_confirmed: bool = False, chosen: str = "") -> None:
    """Pay the open invoices with a new card, or with one that the customer has just confirmed; subscriptions that are past
    due or paused become active. An open invoice of a subscription that is over is paid only if it is ``chosen``."""
    card = default_card(customer_id)
    if not (can_charge(customer_id) or (is_confirmed and card in AUTHENTICATED_LAST4)):
        return
    for invoice in _open_invoices(customer_id):
        if invoice.pk == chosen or not _is_left_over(invoice):
            invoicing.pay_invoice(invoice, now)
    mine = LocalObject.objects.select_for_update().filter(customer_id=customer_id, kind="subscription")
    for row in mine.filter(data__status="past_due"):
        objects.update_object(
            row, "customer.subscription.updated", now, status="active", past_due_since=None, payment_attempts=None
        )
    for row in mine.filter(data__status="paused") if card else []:
        objects.update_object(row, "customer.subscription.resumed", now, billing_cycle_anchor=objects.timestamp(now))
        _renew(row, now)


def _is_left_over(invoice: LocalObject) -> bool:
    subscription_id = invoice.data["parent"]["subscription_details"]["subscription"]
    return LocalObject.objects.filter(pk=subscription_id, data__status__in=Subscription.TERMINAL).exists()


def _open_invoices(customer_id: str) -> QuerySet[LocalObject]:
    return LocalObject.objects.select_for_update().filter(customer_id=customer_id, kind="invoice", data__status="open")


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
