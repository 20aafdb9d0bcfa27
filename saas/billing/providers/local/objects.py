"""The local provider's Stripe-shaped objects, and their events.

An object and its event are written in one transaction. The event waits until it is delivered
(``providers.local.event_delivery``), or moves to the inbox with the gateway call that caused it.
"""

import calendar
import secrets
import time
from datetime import datetime
from itertools import count
from typing import Any

from django.conf import settings

from saas.billing.models import LocalObject, Price
from saas.billing.providers.interface import API_VERSION, CustomerMissing, ProviderRefused
from saas.ids import new_id
from saas.webhook_events.actions import append_events
from saas.webhook_events.models import WebhookEvent

Object = dict[str, Any]

EVENT = "event"
_event_numbers = count()


def create_object(
    kind: str,
    prefix: str,
    at: datetime,
    *,
    id: str = "",
    customer_id: str = "",
    idempotency_key: str | None = None,
    **fields: Any,
) -> tuple[LocalObject, bool]:
    """Create an object, or find the one with the same key. Returns it, and whether it is new."""
    id = id or new_id(prefix)
    data = {"id": id, "object": kind, "created": timestamp(at), "livemode": settings.STRIPE_LIVEMODE, **fields}
    if customer_id:
        data["customer"] = customer_id
    row = {"id": id, "kind": kind, "customer_id": customer_id, "data": data}
    if idempotency_key is None:
        return LocalObject.objects.create(**row), True
    return LocalObject.objects.get_or_create(idempotency_key=idempotency_key, defaults=row)


def lock_object(id: str, kind: str) -> LocalObject:
    """The object, locked. Raises ``ProviderRefused`` if there is none."""
    row = LocalObject.objects.select_for_update().filter(pk=id, kind=kind).first()
    if row is None:
        raise ProviderRefused(f"There is no such {kind}.")
    return row


def lock_customer(id: str) -> LocalObject:
    """The customer, locked. Raises ``CustomerMissing`` if there is none, or it was deleted."""
    row = LocalObject.objects.select_for_update().filter(pk=id, kind="customer").first()
    if row is None or row.data.get("deleted"):
        raise CustomerMissing(f"No such customer: '{id}'")
    return row


def update_object(row: LocalObject, event_type: str, at: datetime, **changes: Any) -> None:
    """Change fields, and record an event with the values before."""
    previous = {name: row.data.get(name) for name, value in changes.items() if row.data.get(name) != value}
    row.data = {**row.data, **changes}
    row.save(update_fields=["data"])
    record_event(event_type, row, at, previous)


def record_event(event_type: str, row: LocalObject, at: datetime, previous: Object | None = None) -> None:
    """Record an event about the object, to be delivered."""
    data: Object = {"object": row.data}
    if previous:
        data["previous_attributes"] = previous
    event: Object = {
        # ids sort by the time of recording, also within one tick of the clock: events are delivered in that order
        "id": f"evt_local_{time.time_ns():016x}{next(_event_numbers) % 0x10000:04x}{secrets.token_hex(5)}",
        "object": EVENT,
        "type": event_type,
        "api_version": API_VERSION,
        "created": timestamp(at),
        "livemode": settings.STRIPE_LIVEMODE,
        "data": data,
    }
    LocalObject.objects.create(id=event["id"], kind=EVENT, customer_id=row.customer_id or row.id, data=event)


def move_events_to_inbox(customer_id: str) -> None:
    """Store the undelivered events of a customer in the inbox, in the transaction of the gateway call."""
    if waiting := list(LocalObject.objects.undelivered().filter(customer_id=customer_id)):
        append_events([event.data for event in waiting], source=WebhookEvent.Source.LOCAL)
        LocalObject.objects.filter(pk__in=[event.pk for event in waiting]).delete()


def price_object(price_id: str) -> Object:
    """A price of the catalogue in Stripe's shape, with all its fields."""
    row = Price.objects.filter(external_id=price_id, provider="local").first()
    if row is None:
        raise ProviderRefused("There is no such price.")
    nothing = ("custom_unit_amount", "lookup_key", "nickname", "tiers_mode", "transform_quantity")
    return {
        **dict.fromkeys(nothing),
        "id": row.external_id,
        "object": "price",
        "active": row.is_active,
        "billing_scheme": "per_unit",
        "created": 0,
        "currency": row.currency,
        "livemode": settings.STRIPE_LIVEMODE,
        "metadata": {},
        "product": row.product_id or f"prod_local_{row.plan_id}",
        "recurring": {
            "interval": row.interval,
            "interval_count": row.interval_count,
            "meter": None,
            "trial_period_days": None,
            "usage_type": "licensed",
        },
        "tax_behavior": "unspecified",
        "type": "recurring",
        "unit_amount": row.unit_amount_cents,
        "unit_amount_decimal": str(row.unit_amount_cents),
    }


def list_object(rows: list[Object], url: str) -> Object:
    """A list as it stands inside another object."""
    return {"object": "list", "data": rows, "has_more": False, "url": url}


def timestamp(at: datetime) -> int:
    return int(at.timestamp())


def add_months(start: datetime, months: int) -> datetime:
    """The same day ``months`` later, or the last day of a month that is too short."""
    years, month = divmod(start.month - 1 + months, 12)
    year = start.year + years
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return start.replace(year=year, month=month + 1, day=day)
