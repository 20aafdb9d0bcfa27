"""Projection of refunds, credit notes, disputes and early fraud warnings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from saas.billing.models import InvoiceAdjustment
from saas.billing.sync import stripe_objects
from saas.billing.sync.event_order import StoredEvent
from saas.security.untrusted_json import JSONObject, as_integer, as_text, as_time

_Kind = InvoiceAdjustment.Kind
KINDS = {
    "refund": _Kind.REFUND,
    "credit_note": _Kind.CREDIT_NOTE,
    "dispute": _Kind.DISPUTE,
    "radar.early_fraud_warning": _Kind.FRAUD_WARNING,
}
CLOSED_DISPUTES = {"won", "lost", "warning_closed", "prevented"}


@dataclass(frozen=True)
class AdjustmentProjection:
    """``invoice_id`` and ``customer_id`` are empty where only the payment says them."""

    kind: str
    customer_id: str
    invoice_id: str
    charge_id: str
    payment_intent_id: str
    status: str
    reason: str
    currency: str
    amount_cents: int
    returned_cents: int
    opened_at: datetime | None
    closed_at: datetime | None
    event_id: str


def project_adjustment(events: Sequence[StoredEvent]) -> AdjustmentProjection | None:
    """The last snapshot. A dispute that was closed stays closed, a refund that failed or was canceled failed."""
    shown = [event for event in events if event.object.get("object") in KINDS]
    if not shown:
        return None
    last = max(shown, key=lambda event: (_is_final(event.object), event.created, event.id))
    thing, kind = last.object, KINDS[as_text(last.object.get("object"))]
    amount = as_integer(thing.get("amount")) or 0
    return AdjustmentProjection(
        kind=kind,
        customer_id=stripe_objects.id_of(thing.get("customer")),
        invoice_id=stripe_objects.id_of(thing.get("invoice")),
        charge_id=stripe_objects.id_of(thing.get("charge")),
        payment_intent_id=stripe_objects.id_of(thing.get("payment_intent")),
        status=as_text(thing.get("status"), 64),
        reason=as_text(thing.get("reason") or thing.get("fraud_type")),
        currency=as_text(thing.get("currency"), 8),
        amount_cents=amount,
        returned_cents=_RETURNED[kind](thing, amount),
        opened_at=as_time(thing.get("created")),
        closed_at=as_time(last.created) if _is_final(thing) else None,
        event_id=last.id,
    )


def _is_final(thing: JSONObject) -> bool:
    is_over = {
        "dispute": thing.get("status") in CLOSED_DISPUTES,
        "refund": thing.get("status") in InvoiceAdjustment.FAILED_REFUNDS,
        "credit_note": thing.get("status") == "void",
    }
    return is_over.get(as_text(thing.get("object")), False)


def _credited_cents(note: JSONObject, amount: int) -> int:
    """What a note takes off a paid invoice and no refund pays out: a refund has a row of its own. What it takes off before the
    payment is in what was due already."""
    if note.get("status") != "issued":
        return 0
    taken_off = {"post_payment": amount, "mixed": as_integer(note.get("post_payment_amount")) or 0}
    credited = taken_off.get(as_text(note.get("type")), 0)
    return max(credited - _refunded_cents(note, credited), 0)


def _refunded_cents(note: JSONObject, credited: int) -> int:
    """What refunds pay out of ``credited``. In earlier API versions a note names one refund, without an amount: then it is all
    that was not paid elsewhere. A share on the customer's balance is not shown, so it counts as refunded, too."""
    if refunds := stripe_objects.items(note.get("refunds")):
        return sum(as_integer(row.get("amount_refunded")) or 0 for row in refunds)
    if not note.get("refund"):
        return 0
    return credited - (as_integer(note.get("out_of_band_amount")) or 0)


_RETURNED: dict[str, Callable[[JSONObject, int], int]] = {
    _Kind.REFUND: lambda refund, amount: amount if refund.get("status") in {"succeeded", "pending", None} else 0,
    _Kind.CREDIT_NOTE: _credited_cents,
    _Kind.DISPUTE: lambda dispute, amount: amount if dispute.get("status") == "lost" else 0,
    _Kind.FRAUD_WARNING: lambda warning, amount: 0,
}
