"""Writing the rows of refunds, credit notes, disputes and fraud warnings, and what they take from their invoice.

Which invoice a payment was for is said by ``invoice_payment.*`` since 2025-03-31.basil, before by the charge.
"""

from datetime import datetime
from typing import Any

from django.db.models import Q

from saas.billing.models import Invoice, InvoiceAdjustment
from saas.billing.providers import fetched_objects
from saas.billing.sync import event_history, stripe_objects, upsert
from saas.billing.sync.projections.adjustments import project_adjustment
from saas.billing.sync.stripe_objects import id_of
from saas.security.untrusted_json import JSONObject, as_object, as_text

_TYPES = ("refund.", "charge.refund.", "charge.dispute.", "credit_note.", "radar.early_fraud_warning.")


def upsert_adjustment(external_id: str) -> InvoiceAdjustment | None:
    """May be repeated; in the caller's transaction."""
    events = [event for prefix in _TYPES for event in event_history.stored_events(external_id, prefix)]
    projection = project_adjustment(events)
    if projection is None:
        return None
    values = dict(vars(projection))
    if values["opened_at"] is None:
        del values["opened_at"]
    invoice = _find_invoice(values.pop("invoice_id"), projection.payment_intent_id, projection.charge_id)
    customer = upsert.ensure_customer(values.pop("customer_id")) or (invoice.customer if invoice else None)
    values |= {"invoice": invoice, "customer": customer}
    row, _ = InvoiceAdjustment.objects.update_or_create(external_id=external_id, defaults=values)
    if invoice:
        upsert.write_returned(invoice)
    return row


def upsert_shown_refunds(charge: JSONObject, at: datetime) -> list[InvoiceAdjustment]:
    """Store the refunds that a charge shows as events of their own (decision 14), where they say something new: of a card's
    refund Stripe sent no other event before 2024-10-28.acacia. Returns their rows. ``at`` is the time of the charge's event."""
    rows = []
    for refund in stripe_objects.items(charge.get("refunds")):
        same = {"external_id": id_of(refund), "status": as_text(refund.get("status"), 64)}
        if not same["external_id"] or InvoiceAdjustment.objects.filter(**same).exists():
            continue
        named = {"object": "refund", "charge": charge.get("id"), "customer": id_of(charge.get("customer")) or None}
        fetched_objects.store_fetched_object({**refund, **named}, asked_at=at)
        rows.append(upsert_adjustment(same["external_id"]))
    return [row for row in rows if row]


def _find_invoice(invoice_id: str, payment_intent_id: str, charge_id: str) -> Invoice | None:
    invoices = Invoice.objects.select_related("customer")
    if invoice_id:
        upsert.ensure_invoice(invoice_id)  # its own events may come later
        return invoices.filter(external_id=invoice_id).first()
    if not (payment_intent_id or charge_id):
        return None
    paid_by = Q(payment_intent_id=payment_intent_id) if payment_intent_id else Q(charge_id=charge_id)
    if payment_intent_id and charge_id:
        paid_by |= Q(charge_id=charge_id)
    if found := invoices.filter(paid_by).first():
        return found
    charges = event_history.stored_events(charge_id, "charge.") if charge_id else []
    named = next((id for event in charges if (id := id_of(event.object.get("invoice")))), "")
    return invoices.filter(external_id=named).first() if named else None


def set_payment(invoice_id: str, payment: JSONObject) -> list[InvoiceAdjustment]:
    """Record which payment paid the invoice, and attach refunds and disputes of it that had no invoice yet; return these.

    ``payment`` has ``payment_intent`` and ``charge``, ids or objects. Nothing happens if the invoice is not stored yet.
    """
    ids = {"payment_intent_id": id_of(payment.get("payment_intent")), "charge_id": id_of(payment.get("charge"))}
    known = {name: id for name, id in ids.items() if id}
    if not known:
        return []
    invoice = Invoice.objects.filter(external_id=invoice_id).first()
    if invoice is None:
        return []
    Invoice.objects.filter(pk=invoice.pk).update(**known)
    orphans = InvoiceAdjustment.objects.of_payment(ids["payment_intent_id"], ids["charge_id"]).filter(invoice=None)
    found = list(orphans.select_for_update(no_key=True).order_by("pk"))
    for row in found:
        row.invoice, row.customer = invoice, invoice.customer
        row.save(update_fields=["invoice", "customer"])
    if found:
        upsert.write_returned(invoice)
    return found


def payments_of_invoice(invoice: JSONObject) -> list[dict[str, Any]]:
    """The payments that a snapshot of an invoice names: expanded since basil, before as fields of its own."""
    listed = as_object(invoice.get("payments")).get("data")
    rows = [as_object(as_object(row).get("payment")) for row in listed] if isinstance(listed, list) else []
    own = {name: invoice.get(name) for name in ("payment_intent", "charge") if invoice.get(name)}
    return [row for row in [*rows, own] if row]
