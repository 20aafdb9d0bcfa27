"""Storing the objects that the provider returns to a call, as events of the inbox (decision 14)."""

import hashlib
import json
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from saas.billing.providers.interface import API_VERSION, EVENT_TYPES
from saas.webhook_events.actions import append_events
from saas.webhook_events.models import WebhookEvent


@transaction.atomic
def store_fetched_object(found: dict[str, Any], *, asked_at: datetime, event_type: str = "") -> None:
    """Store the object as the event that the provider might have sent. No worker is notified: the caller processes it.

    The event is as of the start of the call: later changes are not in it. Its id begins with that time, which orders
    answers of the same second.
    """
    event_type = event_type or _event_type(found)
    created = int(asked_at.timestamp())
    digest = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()
    envelope = {
        "id": f"evt_fetched_{created:011}{asked_at.microsecond:06}_{digest[:32]}",
        "object": "event",
        "type": event_type,
        "api_version": API_VERSION,
        "created": created,
        "livemode": found.get("livemode", settings.STRIPE_LIVEMODE) is True,  # refunds and tombstones name no mode
        "data": {"object": found},
    }
    append_events([envelope], source=WebhookEvent.Source.FETCH)


def _event_type(found: dict[str, Any]) -> str:
    """A deleted customer is returned as a tombstone; a card that was detached is no customer's."""
    if found.get("deleted") is True:
        return "customer.deleted"
    is_detached = found["object"] == "payment_method" and not found.get("customer")
    return "payment_method.detached" if is_detached else EVENT_TYPES[found["object"]]
