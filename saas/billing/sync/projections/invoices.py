"""Projection of an invoice."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from saas.billing.sync import stripe_objects
from saas.billing.sync.event_order import StoredEvent
from saas.security.untrusted_json import JSONObject, as_integer, as_object, as_text, as_time

_STATUSES = ["draft", "open", "uncollectible", "void", "paid", "deleted"]
_AMOUNTS = ("total", "amount_due", "amount_paid")
_SAME_ATTEMPT_SECONDS = 60
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
    amounts_are_known: bool
    attention: str
    attention_event_id: str
    hosted_url: str
    needs_action: bool
    issued_at: datetime | None
    paid_at: datetime | None


def project_invoice(events: Sequence[StoredEvent]) -> InvoiceProjection | None:
    if not events:
        return None
    last = newest_event(events)
    shown = last.object
    paid_at = as_object(shown.get("status_transitions")).get("paid_at")
    status = _invoice_status(last)
    faults = _faults(shown, status)
    return InvoiceProjection(
        status=status,
        customer_id=stripe_objects.id_of(shown.get("customer")),
        subscription_id=stripe_objects.invoice_subscription(shown),
        number=as_text(shown.get("number")),
        currency=as_text(shown.get("currency"), 8),
        **{f"{name}_cents": as_integer(shown.get(name)) or 0 for name in _AMOUNTS},
        amounts_are_known=not any(name in faults for name in _AMOUNTS),
        attention="; ".join(faults.values())[:500],
        attention_event_id=last.id if faults else "",
        hosted_url=as_text(shown.get("hosted_invoice_url"), 2048),
        needs_action=status == "open" and _asks_for_action(events),
        issued_at=as_time(shown.get("created")) or as_time(shown.get("date")),
        paid_at=as_time(paid_at or last.created) if status == "paid" else None,
    )


def newest_event(events: Sequence[StoredEvent]) -> StoredEvent:
    """The event with the furthest status (draft, open, uncollectible, void, paid); of several the latest."""
    return max(events, key=lambda event: (_RANKS.get(_invoice_status(event), -1), event.created, event.id))


def _asks_for_action(events: Sequence[StoredEvent]) -> bool:
    """Whether the last attempt to charge it waits for the payer. Such an attempt is reported as failed, too."""
    failed = max((event.created for event in events if event.has_verb("payment_failed")), default=0)
    asked = max((event.created for event in events if event.has_verb("payment_action_required")), default=0)
    return asked > 0 and asked >= failed - _SAME_ATTEMPT_SECONDS


def _faults(shown: JSONObject, status: str) -> dict[str, str]:
    """What cannot be read, by the field's name, a sentence each, and why it is not issued. Very old events have no
    ``amount_paid``."""
    if status == "deleted":
        return {}
    unread = [name for name in _AMOUNTS if as_integer(shown.get(name)) is None and not _is_older(name, shown)]
    faults = {name: f"{name} of the invoice cannot be read" for name in unread}
    if status not in _RANKS:
        faults["status"] = f"status {status} of the invoice is unknown"
    if not as_text(shown.get("currency"), 8):
        faults["currency"] = "the invoice shows no currency"
    if status == "draft" and (error := as_object(shown.get("last_finalization_error"))):
        faults["finalization"] = f"it is not charged: {as_text(error.get('message'), 400) or 'it was not finalized'}"
    return faults


def _is_older(name: str, shown: JSONObject) -> bool:
    return name == "amount_paid" and name not in shown


def _invoice_status(event: StoredEvent) -> str:
    return "deleted" if event.has_verb("deleted") else stripe_objects.invoice_status(event.object)
