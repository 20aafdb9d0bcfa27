"""What the next invoice of a subscription will be, as it stands or after a change. Nothing is written."""

from collections.abc import Sequence
from datetime import datetime

from saas.billing.models import LocalObject
from saas.billing.providers.interface import InvoicePreview, PreviewLine
from saas.billing.providers.local import invoicing, lifecycle, operations


def preview_next_invoice(row: LocalObject) -> InvoicePreview:
    return _preview(row, [PreviewLine("price", operations.item_amount(operations.plan_item(row))), *_waiting(row)])


def preview_change(
    row: LocalObject, price_id: str, prorated_at: datetime, *, quantity: int | None = None
) -> InvoicePreview:
    """Preview the invoice after ``operations.change_price`` with the same arguments."""
    item, new = operations.plan_item(row), operations.changed_item(row, price_id, quantity)
    lines = [PreviewLine("price", operations.item_amount(new)), *_waiting(row)]
    if row.data["status"] == "trialing":
        return _preview(row, lines)
    unused = operations.rest_of_period(row, prorated_at, operations.item_amount(item))
    if operations.begins_a_period(item, new):
        return _preview(row, [*lines, PreviewLine("unused", -unused)], at=prorated_at)
    difference = operations.rest_of_period(row, prorated_at, operations.item_amount(new) - operations.item_amount(item))
    if difference:  # in two parts, whose sum is what is charged: each alone is rounded
        lines += [PreviewLine("unused", -unused), PreviewLine("rest", difference + unused)]
    return _preview(row, lines)


def _waiting(row: LocalObject) -> list[PreviewLine]:
    return [PreviewLine("earlier", item.data["amount"]) for item in invoicing.pending_items(row)]


def _preview(row: LocalObject, lines: Sequence[PreviewLine], *, at: datetime | None = None) -> InvoicePreview:
    """Of the invoice that is issued at ``at``, by default with the end of the period."""
    charged_at = at or lifecycle.period_end(row)
    sums = invoicing.totals(row, [invoicing.Line(line.kind, line.amount_cents) for line in lines], charged_at)
    return InvoicePreview(
        due_cents=sums.amount_due,
        currency=row.data["currency"],
        next_charge_at=charged_at,
        lines=tuple(lines),
        discount_cents=sums.discount,
        tax_cents=sums.tax,
        total_cents=sums.total,
    )
