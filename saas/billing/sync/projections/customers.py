"""Projection of a customer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from saas.billing.sync import stripe_objects
from saas.billing.sync.event_order import StoredEvent, last_event
from saas.security.untrusted_json import JSONObject, as_object, as_text


@dataclass(frozen=True)
class CustomerProjection:
    email: str
    delinquent: bool
    default_payment_method: str
    reference: str  # the id that we gave the provider, if we made the customer
    deleted_at: datetime | None


def project_customer(events: Sequence[StoredEvent]) -> CustomerProjection | None:
    """The last snapshot; a deleted customer has ``deleted_at``."""
    if not events:
        return None
    last, gone_at = last_event(events, end_verb="deleted")
    return CustomerProjection(
        email=as_text(last.object.get("email"), 512),
        delinquent=last.object.get("delinquent") is True,
        default_payment_method=_default_payment_method(last.object),
        reference=as_text(as_object(last.object.get("metadata")).get("customer_id"), 40),
        deleted_at=gone_at,
    )


def _default_payment_method(snapshot: JSONObject) -> str:
    settings = as_object(snapshot.get("invoice_settings"))
    return stripe_objects.id_of(settings.get("default_payment_method")) or stripe_objects.id_of(
        snapshot.get("default_source")
    )
