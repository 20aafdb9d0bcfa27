"""Reading Stripe's preview of an invoice (``invoices.create_preview``)."""

from datetime import datetime

from saas.billing.providers.interface import InvoicePreview, PreviewLine
from saas.billing.sync import stripe_objects
from saas.security.untrusted_json import JSONObject, as_integer, as_object, as_objects, as_text, as_time


def read_preview(invoice: JSONObject, prorated_at: datetime | None = None) -> InvoicePreview:
    """``prorated_at`` tells the lines of the change that is previewed from those of earlier ones. Of a list that is not whole no
    line is shown: the parts would not add up."""
    listed = as_object(invoice.get("lines"))
    lines = [] if listed.get("has_more") is True else stripe_objects.items(listed)
    due = as_integer(invoice.get("amount_due")) or 0
    total = as_integer(invoice.get("total"))
    return InvoicePreview(
        due_cents=due,
        currency=as_text(invoice.get("currency"), 8),
        next_charge_at=as_time(invoice.get("next_payment_attempt")) or as_time(invoice.get("period_end")),
        lines=tuple(_line(line, prorated_at) for line in lines),
        discount_cents=_sum(invoice, "total_discount_amounts"),
        tax_cents=_sum(invoice, "total_taxes") or _sum(invoice, "total_tax_amounts"),
        total_cents=due if total is None else total,
    )


def _sum(invoice: JSONObject, field: str) -> int:
    return sum(as_integer(row.get("amount")) or 0 for row in as_objects(invoice.get(field)))


def _line(line: JSONObject, prorated_at: datetime | None) -> PreviewLine:
    amount = as_integer(line.get("amount")) or 0
    if not _is_proration(line):
        return PreviewLine("price", amount)
    if prorated_at is None or as_time(as_object(line.get("period")).get("start")) != prorated_at:
        return PreviewLine("earlier", amount)
    return PreviewLine("unused" if amount < 0 else "rest", amount)


def _is_proration(line: JSONObject) -> bool:
    """On the line until 2025-03-31.basil, since then on what it comes from."""
    parent = as_object(line.get("parent"))
    origins = (as_object(parent.get(kind)) for kind in ("subscription_item_details", "invoice_item_details"))
    return line.get("proration") is True or any(origin.get("proration") is True for origin in origins)
