"""Projection of a customer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from saas.billing.sync import stripe_objects
from saas.billing.sync.event_order import StoredEvent, last_event
from saas.security.untrusted_json import as_object, as_text


@dataclass(frozen=True)
class CustomerProjection:
    email: str
    delinquent: bool
    default_payment_method: str
    reference: str  # the id that we gave the provider, if we made the customer
    deleted_at: datetime | None


def project_customer(events: Sequence[StoredEvent]) -> CustomerProjection | None:
    """The last snapshot; a deleted customer has ``deleted_at``."""
    events = customer_snapshots(events)
    if not events:
        return None
    last, gone_at = last_event(events, end_verb="deleted")
    settings = as_object(last.object.get("invoice_settings"))
    return CustomerProjection(
        email=as_text(last.object.get("email"), 512),
        delinquent=last.object.get("delinquent") is True,
        default_payment_method=stripe_objects.id_of(settings.get("default_payment_method"))
        or stripe_objects.id_of(last.object.get("default_source")),
        reference=as_text(as_object(last.object.get("metadata")).get("customer_id"), 40),
        deleted_at=gone_at,
    )


def customer_snapshots(events: Sequence[StoredEvent]) -> list[StoredEvent]:
    """The events that show the customer, in order. Subscriptions, discounts and tax ids have ``customer.`` types, too."""
    own = [event for event in events if event.type.count(".") == 1]
    return sorted(own, key=lambda event: (event.created, event.has_verb("deleted"), event.id))
