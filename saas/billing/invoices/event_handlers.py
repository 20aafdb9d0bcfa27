"""Handlers of the events about invoices, and about what happens to their money afterwards."""

import logging
from collections.abc import Collection, Iterable

from django.db.models import Sum
from django.db.models.functions import Coalesce

from saas.billing import providers
from saas.billing.invoices import customer_mails
from saas.billing.models import Customer, InvoiceAdjustment
from saas.billing.providers import ProviderForbids, ProviderRefused
from saas.billing.sync import adjustments, upsert
from saas.billing.sync.attention import mail_staff
from saas.billing.sync.stripe_objects import id_of, items
from saas.security.untrusted_json import JSONObject, as_integer, as_object
from saas.webhook_events.actions import set_attention
from saas.webhook_events.dispatch import before_transaction, handles, require_object_id
from saas.webhook_events.envelope import EventData, load_event_data
from saas.webhook_events.models import WebhookEvent

logger = logging.getLogger(__name__)

_Kind = InvoiceAdjustment.Kind


@handles("invoice.*")
def handle_invoice_event(event: WebhookEvent, data: EventData) -> None:
    """``invoice.upcoming`` shows an invoice that does not exist yet, and has no row."""
    if event.handled_type == "invoice.upcoming":
        return
    _mail_refunds(upsert.upsert_invoice(require_object_id(event)))
    for payment in adjustments.payments_of_invoice(data.object):
        _mail_refunds(adjustments.set_payment(event.object_id, payment))


@handles("invoice_payment.*")
def handle_invoice_payment_event(event: WebhookEvent, data: EventData) -> None:
    """The invoice's own events may come hours later, after an outage: until then it is a stub."""
    invoice_id, payment = id_of(data.object.get("invoice")), as_object(data.object.get("payment"))
    upsert.ensure_invoice(invoice_id)
    _mail_refunds(adjustments.set_payment(invoice_id, payment))


def _mail_refunds(rows: Iterable[InvoiceAdjustment]) -> None:
    for row in rows:
        if row.kind == _Kind.REFUND and row.status == "succeeded":
            customer_mails.send_refunded(row)


@handles("refund.*", "charge.refund.*", "charge.dispute.*", "credit_note.*", "radar.early_fraud_warning.*")
def handle_adjustment_event(event: WebhookEvent, data: EventData) -> None:
    """A row on the invoice, and a mail to staff where money is taken back. Access stays as it is, unless
    ``BILLING_DISPUTE_ENDS_ACCESS`` says otherwise (``Subscription.is_ended_by_dispute``)."""
    row = adjustments.upsert_adjustment(require_object_id(event))
    if row is None:
        return
    _mail_refunds([row])
    if data.object and row.kind != _Kind.FRAUD_WARNING and as_integer(data.object.get("amount")) is None:
        reason = f"the amount of {row.external_id} cannot be read: it is taken off no invoice"
        set_attention(event.external_id, reason)
        mail_staff(f"{row.external_id} needs attention", reason, event.external_id)
    if what := _staff_sentence(row):
        sentence = f"{row.amount}. {row.reason}".strip()
        mail_staff(f"{what}: {row.external_id}", sentence, event.external_id, is_per_event=False)


def _staff_sentence(row: InvoiceAdjustment) -> str:
    """What staff are told; empty for what they have done themselves."""
    if row.kind == _Kind.FRAUD_WARNING:
        return "The bank warns of fraud"
    if row.kind == _Kind.DISPUTE:
        return f"A dispute was {row.status}" if row.closed_at else "A dispute is open"
    if row.kind == _Kind.REFUND:
        return "A refund failed" if row.status == "failed" else "A payment was refunded"
    return ""


@handles("charge.succeeded", "charge.updated", "charge.refunded", "charge.captured")
def keep_charge_event(event: WebhookEvent, data: EventData) -> None:
    """Before 2025-03-31.basil a charge names its invoice, and before 2022-11-15 it shows its refunds."""
    ids = {"payment_intent": data.object.get("payment_intent"), "charge": data.object.get("id")}
    if invoice_id := id_of(data.object.get("invoice")):
        _mail_refunds(adjustments.set_payment(invoice_id, ids))
    _mail_refunds(adjustments.upsert_shown_refunds(data.object, event.provider_created))


def charges_hiding_refunds(event_ids: Collection[int]) -> set[int]:
    """Of these events, those whose charge has paid back more than the refunds that it shows or that are known."""
    if providers.current_provider() != Customer.Provider.STRIPE:
        return set()
    rows = WebhookEvent.objects.filter(pk__in=event_ids).select_related("payload")
    return {row.pk for row in rows if _hides_refunds(load_event_data(row).object)}


def _hides_refunds(charge: JSONObject) -> bool:
    shown = sum(as_integer(refund.get("amount")) or 0 for refund in items(charge.get("refunds")))
    known = InvoiceAdjustment.objects.filter(kind=_Kind.REFUND, charge_id=id_of(charge.get("id")))
    returned = int(known.aggregate(cents=Coalesce(Sum("returned_cents"), 0))["cents"])
    return (as_integer(charge.get("amount_refunded")) or 0) > max(shown, returned)


@before_transaction("charge.refunded", when=charges_hiding_refunds)
def fetch_hidden_refunds(event: WebhookEvent, data: EventData) -> None:
    """Between 2022-11-15 and 2024-10-28 no event shows the refund of a card. If Stripe refuses, it stays unknown."""
    try:
        providers.current_gateway().fetch_object("charge", event.object_id)
    except (ProviderRefused, ProviderForbids):
        logger.warning("refunds_not_fetched", extra={"charge": event.object_id})


@handles("invoice.paid", "invoice.payment_succeeded")
def mail_receipt(event: WebhookEvent, data: EventData) -> None:
    customer_mails.send_receipt(require_object_id(event))


@handles("invoice.payment_failed")
def mail_payment_failed(event: WebhookEvent, data: EventData) -> None:
    customer_mails.send_payment_failed(require_object_id(event), data.object)


@handles("invoice.payment_action_required")
def mail_action_required(event: WebhookEvent, data: EventData) -> None:
    customer_mails.send_action_required(require_object_id(event))


@handles("invoice.upcoming")
def mail_upcoming_renewal(event: WebhookEvent, data: EventData) -> None:
    customer_mails.send_upcoming_renewal(data.object)
