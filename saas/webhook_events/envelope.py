"""The fields around an event's object, read strictly from untrusted bytes.

``read_event`` turns bytes into a dictionary, ``Envelope.from_event`` reads from it what the inbox needs. Signed bytes may still
be no event: then both raise ``Unreadable``, and the bytes are quarantined.
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
# An event must be addressable: /replay/<id>. The prefix is that of quarantined bytes.
_ID = re.compile(rf"(?!{QUARANTINE_PREFIX})[A-Za-z0-9_.:-]{{1,255}}")
_TYPE = re.compile(r"[!-~]{1,255}")


class Unreadable(ValueError):
    """The bytes are no event."""


@dataclass(frozen=True)
class EventData:
    """The event's object, and the previous values of the attributes that changed, if the provider sent them."""

    object: dict[str, Any]
    previous: dict[str, Any]


class Envelope(NamedTuple):
    """``created`` is None where the provider sent none. Other fields that are missing or invalid are empty."""

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
        """Raise ``Unreadable`` where there is no usable id, type or time."""
        related = as_object(event.get("related_object"))  # thin events: the object is only named
        data = parse_event_data(event)
        thing = data.object
        return cls(
            id=_required(event, "id", _ID),
            type=_required(event, "type", _TYPE),
            created=_created(event.get("created")),
            api_version=as_identifier(event.get("api_version"), 64),
            livemode=event.get("livemode") is True,
            account=as_identifier(event.get("account")) or _context(event),
            object_type=as_identifier(thing.get("object"), 64) or as_identifier(related.get("type"), 64),
            object_id=as_identifier(thing.get("id")) or as_identifier(related.get("id")),
            customer_id=_customer_id(data),
        )


def read_event(body: bytes) -> dict[str, Any]:
    """Return the JSON object in ``body``. NUL and lone surrogates, which no database can store, become U+FFFD."""
    try:
        return read_object(body.removeprefix(BOM_UTF8), max_depth=MAX_DEPTH, replace_unstorable=True)
    except InvalidJSON as error:
        raise Unreadable(f"{error} {error.__cause__ or ''}".strip()[:200]) from error


def parse_event_data(event: dict[str, Any]) -> EventData:
    """Return the object and its previous attributes; empty where the event has none."""
    data = as_object(event.get("data"))
    return EventData(object=as_object(data.get("object")), previous=as_object(data.get("previous_attributes")))


def load_event_data(event: WebhookEvent) -> EventData:
    """Return a stored event's object, as handlers and projections get it. Reads ``event.payload``."""
    return parse_event_data(read_event(bytes(event.payload.body)))


def _required(event: dict[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = event.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise Unreadable(f"The event has no usable {name}.")
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


def _context(event: dict[str, Any]) -> str:
    """The account that a thin event is about, if it is not ours: only with it as context can its object be fetched."""
    return as_identifier(event.get("context")) if event.get("object") == "v2.core.event" else ""


def _customer_id(data: EventData) -> str:
    """The id of a customer itself, else of the customer that the object or its previous attributes name."""
    if data.object.get("object") == "customer":
        return as_identifier(data.object.get("id"))
    for holder in (data.object, data.previous):
        customer = holder.get("customer")
        if found := as_identifier(customer) or as_identifier(as_object(customer).get("id")):
            return found
    return ""
