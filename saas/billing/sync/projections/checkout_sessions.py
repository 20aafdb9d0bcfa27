"""What a checkout session is, from its stored events."""

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
    """Paid beats all else; then what failed, then what expired. Completed but not paid yet is still pending."""
    if not events:
        return None
    statuses = {_session_status(told): told for told in sorted(events, key=lambda told: told.created, reverse=True)}
    status = next(name for name in ("active", "failed", "expired", "pending") if name in statuses)
    shown = statuses[status]
    return CheckoutSessionProjection(
        status=status,
        reference=as_text(shown.object.get("client_reference_id"), 200),
        customer_id=stripe_objects.id_of(shown.object.get("customer")),
        subscription_id=stripe_objects.id_of(shown.object.get("subscription")),
        ended_at=None if status == "pending" else as_time(shown.created),
    )


def _session_status(told: StoredEvent) -> str:
    if told.has_verb("async_payment_succeeded"):
        return "active"
    if told.has_verb("async_payment_failed"):
        return "failed"
    status, payment = told.object.get("status"), told.object.get("payment_status")
    if told.has_verb("expired") or status == "expired":
        return "expired"
    is_complete = told.has_verb("completed") or status == "complete"
    return "active" if is_complete and payment in {"paid", "no_payment_required"} else "pending"
