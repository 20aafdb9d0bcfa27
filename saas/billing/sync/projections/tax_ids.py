"""Projection of a tax id."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from saas.billing.sync.event_order import StoredEvent, last_event
from saas.billing.sync.stripe_objects import id_of
from saas.security.untrusted_json import as_object, as_text, as_time
from saas.webhook_events.payload_erasure import ERASED


@dataclass(frozen=True)
class TaxIdProjection:
    customer_id: str
    kind: str
    value: str
    status: str
    created_at: datetime | None
    deleted_at: datetime | None


def project_tax_id(events: Sequence[StoredEvent]) -> TaxIdProjection | None:
    """The last snapshot; one that was deleted stays so. An erased one has no row."""
    if not events or any(event.object.get(ERASED) is True for event in events):
        return None
    last, gone_at = last_event(events, end_verb="deleted")
    shown = last.object
    return TaxIdProjection(
        customer_id=id_of(shown.get("customer")) or id_of(as_object(shown.get("owner")).get("customer")),
        kind=as_text(shown.get("type"), 64),
        value=as_text(shown.get("value"), 255),
        status=as_text(as_object(shown.get("verification")).get("status"), 64),
        created_at=as_time(shown.get("created")),
        deleted_at=gone_at,
    )
