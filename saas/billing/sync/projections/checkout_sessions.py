"""Projection of a checkout session."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from saas.billing.sync import stripe_objects
from saas.billing.sync.event_order import StoredEvent
from saas.security.untrusted_json import as_text, as_time


@dataclass(frozen=True)
class CheckoutSessionProjection:
    """``status`` is one of ``Checkout.Status``."""

    status: str
    reference: str  # our checkout's id, if we made the session
    customer_id: str
    subscription_id: str
    ended_at: datetime | None


def project_checkout_session(events: Sequence[StoredEvent]) -> CheckoutSessionProjection | None:
    """Paid takes precedence, then failed, then expired. Completed but not yet paid is still pending."""
    if not events:
        return None
    statuses = {
        _session_status(event): event for event in sorted(events, key=lambda event: event.created, reverse=True)
    }
    status = next(name for name in ("active", "failed", "expired", "pending") if name in statuses)
    shown = statuses[status]
    return CheckoutSessionProjection(
        status=status,
        reference=as_text(shown.object.get("client_reference_id"), 200),
        customer_id=stripe_objects.id_of(shown.object.get("customer")),
        subscription_id=stripe_objects.id_of(shown.object.get("subscription")),
        ended_at=None if status == "pending" else as_time(shown.created),
    )


def _session_status(event: StoredEvent) -> str:
    if event.has_verb("async_payment_succeeded"):
        return "active"
    if event.has_verb("async_payment_failed"):
        return "failed"
    status, payment = event.object.get("status"), event.object.get("payment_status")
    if event.has_verb("expired") or status == "expired":
        return "expired"
    is_complete = event.has_verb("completed") or status == "complete"
    return "active" if is_complete and payment in {"paid", "no_payment_required"} else "pending"
