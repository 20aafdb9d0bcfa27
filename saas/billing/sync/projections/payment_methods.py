"""Projection of a payment method."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from saas.billing.sync import stripe_objects
from saas.billing.sync.event_order import StoredEvent, last_event
from saas.security.untrusted_json import as_integer, as_object, as_text, as_time
from saas.webhook_events.payload_erasure import ERASED


@dataclass(frozen=True)
class PaymentMethodProjection:
    customer_id: str
    type: str
    brand: str
    last4: str
    exp_month: int | None
    exp_year: int | None
    detached_at: datetime | None
    created_at: datetime | None


def project_payment_method(events: Sequence[StoredEvent]) -> PaymentMethodProjection | None:
    """The last snapshot; a detached method stays detached, and keeps its customer. An erased one has no row."""
    if not events or any(event.object.get(ERASED) is True for event in events):
        return None
    last, gone_at = last_event(events, end_verb="detached")
    kind = as_text(last.object.get("type"), 64)
    details = as_object(last.object.get(kind))
    return PaymentMethodProjection(
        customer_id=_last_customer_id(events),
        type=kind,
        brand=as_text(details.get("brand"), 64),
        last4=as_text(details.get("last4"), 16),
        exp_month=_small(details.get("exp_month")),
        exp_year=_small(details.get("exp_year")),
        detached_at=gone_at,
        created_at=as_time(last.object.get("created")),
    )


def _last_customer_id(events: Sequence[StoredEvent]) -> str:
    """A detached method names no customer: its previous values do."""
    by_time = sorted(events, key=lambda event: event.created, reverse=True)
    named = [
        stripe_objects.id_of(event.object.get("customer")) or stripe_objects.id_of(event.previous.get("customer"))
        for event in by_time
    ]
    return next((name for name in named if name), "")


def _small(value: object) -> int | None:
    number = as_integer(value)
    return number if number is not None and 0 <= number <= 9999 else None
