"""What stands around an event's object: read from the bytes, trusting nothing.

``read`` turns bytes into a dictionary, ``Envelope.of`` takes from it what the inbox needs to know. Whatever was signed
may still be no event: then both raise ``Unreadable`` and the bytes are kept for a person to look at.
"""

import re
from codecs import BOM_UTF8
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from saas.security.untrusted_json import InvalidJSON, as_identifier, as_object, as_time, read_object
from saas.webhook_events.models import WebhookEvent

MAX_DEPTH = 100
QUARANTINE_PREFIX = "sha256:"
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,255}")  # an event must be addressable: /replay/<id>
_TYPE = re.compile(r"[!-~]{1,255}")


class Unreadable(ValueError):
    """These bytes are no event."""


@dataclass(frozen=True)
class EventData:
    """The event's object, and the previous values of the attributes that changed, if the provider sent them."""

    object: dict[str, Any]
    previous: dict[str, Any]


class Envelope(NamedTuple):
    """``created`` is None where the provider told none. Fields that it left out, or that make no sense, are empty."""

    id: str
    type: str
    created: datetime | None
    api_version: str
    livemode: bool
    account: str
    object_type: str
    object_id: str
    customer_id: str

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> "Envelope":
        """Raises ``Unreadable`` where there is no usable id, type or time."""
        related = as_object(event.get("related_object"))  # thin events: the object is only named
        data = parse_event_data(event)
        thing = data.object
        return cls(
            id=_event_id(event),
            type=_event_type(event),
            created=_created(event.get("created")),
            api_version=as_identifier(event.get("api_version"), 64),
            livemode=event.get("livemode") is True,
            account=as_identifier(event.get("account")),
            object_type=as_identifier(thing.get("object"), 64) or as_identifier(related.get("type"), 64),
            object_id=as_identifier(thing.get("id")) or as_identifier(related.get("id")),
            customer_id=_customer_id(data),
        )


def read_event(body: bytes) -> dict[str, Any]:
    """The JSON object in ``body``. NUL and lone surrogates in its strings, which no database takes, become U+FFFD."""
    try:
        return read_object(body.removeprefix(BOM_UTF8), max_depth=MAX_DEPTH, replace_unstorable=True)
    except InvalidJSON as error:
        raise Unreadable(f"{error} {error.__cause__ or ''}".strip()[:200]) from error


def parse_event_data(event: dict[str, Any]) -> EventData:
    """The object as it was and what it was before; empty where the event carries none."""
    data = as_object(event.get("data"))
    return EventData(object=as_object(data.get("object")), previous=as_object(data.get("previous_attributes")))


def load_event_data(event: WebhookEvent) -> EventData:
    """What a stored event says of its object: what handlers get and folds read."""
    return parse_event_data(read_event(bytes(event.payload.body)))


def _event_id(event: dict[str, Any]) -> str:
    value = event.get("id")
    if not isinstance(value, str) or not _ID.fullmatch(value) or value.startswith(QUARANTINE_PREFIX):
        raise Unreadable("The event has no usable id.")
    return value


def _event_type(event: dict[str, Any]) -> str:
    value = event.get("type")
    if not isinstance(value, str) or not _TYPE.fullmatch(value):
        raise Unreadable("The event has no usable type.")
    return value


def _created(value: object) -> datetime | None:
    """Seconds since 1970, or an ISO 8601 date (thin events)."""
    if value is None:
        return None
    try:
        created = datetime.fromisoformat(value) if isinstance(value, str) else as_time(value, earliest=0)
        if created is not None:
            return created.astimezone(UTC) if created.tzinfo else created.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        pass
    raise Unreadable("The event's created is no time.")


def _customer_id(data: EventData) -> str:
    """Whose object it is: a customer itself, else the customer it names, expanded or not, now or before."""
    if data.object.get("object") == "customer":
        return as_identifier(data.object.get("id"))
    for holder in (data.object, data.previous):
        customer = holder.get("customer")
        if found := as_identifier(customer) or as_identifier(as_object(customer).get("id")):
            return found
    return ""
