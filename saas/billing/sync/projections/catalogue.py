"""Projections of prices and products."""

from collections.abc import Sequence
from dataclasses import dataclass

from saas.billing.sync import stripe_objects
from saas.billing.sync.event_order import StoredEvent, last_event
from saas.security.untrusted_json import as_count, as_integer, as_object, as_text


@dataclass(frozen=True)
class PriceProjection:
    is_active: bool
    product_id: str
    unit_amount_cents: int | None
    currency: str
    interval: str
    interval_count: int


def project_price(events: Sequence[StoredEvent]) -> PriceProjection | None:
    """The last snapshot; a deleted price is not active."""
    if not events:
        return None
    last, gone_at = last_event(events, end_verb="deleted")
    recurring = as_object(last.object.get("recurring"))
    return PriceProjection(
        is_active=last.object.get("active") is not False and gone_at is None,
        product_id=stripe_objects.id_of(last.object.get("product")),
        unit_amount_cents=as_integer(last.object.get("unit_amount")),
        currency=as_text(last.object.get("currency"), 8),
        interval=as_text(recurring.get("interval"), 16),
        interval_count=min(as_count(recurring.get("interval_count"), 1), 1000),
    )


@dataclass(frozen=True)
class ProductProjection:
    name: str
    description: str
    is_active: bool
    named_plan_id: str


def project_product(events: Sequence[StoredEvent]) -> ProductProjection | None:
    """The last snapshot; a deleted product is not active."""
    if not events:
        return None
    last, gone_at = last_event(events, end_verb="deleted")
    return ProductProjection(
        name=as_text(last.object.get("name"), 255),
        description=as_text(last.object.get("description"), 5000),
        is_active=last.object.get("active") is not False and gone_at is None,
        named_plan_id=stripe_objects.metadata_plan_id(last.object),
    )
