"""Projection of an invoice."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from saas.billing.sync import stripe_objects
from saas.billing.sync.event_order import StoredEvent
from saas.security.untrusted_json import as_integer, as_object, as_text, as_time

_STATUSES = ["draft", "open", "uncollectible", "void", "paid", "deleted"]
_RANKS = {status: rank for rank, status in enumerate(_STATUSES)}


@dataclass(frozen=True)
class InvoiceProjection:
    status: str
    customer_id: str
    subscription_id: str
    number: str
    currency: str
    total_cents: int
    amount_due_cents: int
    amount_paid_cents: int
    hosted_url: str
    issued_at: datetime | None
    paid_at: datetime | None


def project_invoice(events: Sequence[StoredEvent]) -> InvoiceProjection | None:
    """The event with the furthest status (draft, open, uncollectible, void, paid); of several the latest."""
    if not events:
        return None
    last = max(events, key=lambda event: (_RANKS.get(_invoice_status(event), -1), event.created, event.id))
    shown = last.object
    paid_at = as_object(shown.get("status_transitions")).get("paid_at")
    status = _invoice_status(last)
    return InvoiceProjection(
        status=status,
        customer_id=stripe_objects.id_of(shown.get("customer")),
        subscription_id=stripe_objects.invoice_subscription(shown),
        number=as_text(shown.get("number")),
        currency=as_text(shown.get("currency"), 8),
        total_cents=as_integer(shown.get("total")) or 0,
        amount_due_cents=as_integer(shown.get("amount_due")) or 0,
        amount_paid_cents=as_integer(shown.get("amount_paid")) or 0,
        hosted_url=as_text(shown.get("hosted_invoice_url"), 2048),
        issued_at=as_time(shown.get("created")) or as_time(shown.get("date")),
        paid_at=as_time(paid_at or last.created) if status == "paid" else None,
    )


def _invoice_status(event: StoredEvent) -> str:
    return "deleted" if event.has_verb("deleted") else stripe_objects.invoice_status(event.object)
