"""What stands around an event's object: read from the bytes, trusting nothing.

``read`` turns bytes into a dictionary, ``Envelope.of`` takes from it what the inbox needs to know. Whatever was signed
may still be no event: then both raise ``Unreadable`` and the bytes are kept for a person to look at.
"""

import json
import math
import re
from codecs import BOM_UTF8
from datetime import UTC, datetime
from typing import Any, NamedTuple

from saas.webhook_events.models import WebhookEvent
from saas.webhook_events.registry import EventData

MAX_DEPTH = 100
QUARANTINE_PREFIX = "sha256:"
_LATEST_SECOND = 253_402_300_799  # the last one of the year 9999
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,255}")  # an event must be addressable: /replay/<id>
_TYPE = re.compile(r"[!-~]{1,255}")
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)  # linear, whatever it reads
_STEP = {b"[": 1, b"{": 1, b"]": -1, b"}": -1}
_NOT_STORABLE = re.compile("[\x00\ud800-\udfff]")


class Unreadable(ValueError):
    """These bytes are no event."""


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
    def of(cls, event: dict[str, Any]) -> "Envelope":
        """Raises ``Unreadable`` where there is no usable id, type or time."""
        related = _dict(event, "related_object")  # thin events: the object is only named
        data = data_of(event)
        thing = data.object
        return cls(
            id=_event_id(event),
            type=_event_type(event),
            created=_moment(event.get("created")),
            api_version=_text(event, "api_version", 64),
            livemode=event.get("livemode") is True,
            account=_text(event, "account"),
            object_type=_text(thing, "object", 64) or _text(related, "type", 64),
            object_id=_text(thing, "id") or _text(related, "id"),
            customer_id=_customer_id(data),
        )


def read(body: bytes) -> dict[str, Any]:
    """The JSON object in ``body``. NUL and lone surrogates in its strings, which no database takes, become U+FFFD."""
    _require_shallow(body)
    try:
        event = _decoder.decode(body.removeprefix(BOM_UTF8).decode())
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"The body is no JSON: {error}"[:200]) from error
    if not isinstance(event, dict):
        raise Unreadable("The body is no JSON object.")
    has_escapes = b"\\" in body and b"\\u" in body  # a single byte is searched for three times as fast
    return _storable(event) if has_escapes else event


def data_of(event: dict[str, Any]) -> EventData:
    """The object as it was and what it was before; empty where the event carries none."""
    data = _dict(event, "data")
    return EventData(object=_dict(data, "object"), previous=_dict(data, "previous_attributes"))


def event_data(event: WebhookEvent) -> EventData:
    """What a stored event says of its object: what handlers get and folds read."""
    return data_of(read(bytes(event.payload.body)))


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


def _moment(value: object) -> datetime | None:
    """Seconds since 1970, or an ISO 8601 date (thin events)."""
    try:
        if type(value) is int and 0 <= value <= _LATEST_SECOND:  # a bool is none
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, str):
            return _utc(datetime.fromisoformat(value))
    except (ValueError, OverflowError) as error:
        raise Unreadable("The event's created is no time.") from error
    if value is None:
        return None
    raise Unreadable("The event's created is no time.")


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _customer_id(data: EventData) -> str:
    """Whose object it is: a customer itself, else the customer it names, expanded or not, now or before."""
    if data.object.get("object") == "customer":
        return _text(data.object, "id")
    for holder in (data.object, data.previous):
        if found := _text(holder, "customer") or _text(_dict(holder, "customer"), "id"):
            return found
    return ""


def _dict(holder: dict[str, Any], key: str) -> dict[str, Any]:
    value = holder.get(key)
    return value if isinstance(value, dict) else {}


def _text(holder: dict[str, Any], key: str, max_length: int = 255) -> str:
    value = holder.get(key)
    return value if isinstance(value, str) and len(value) <= max_length else ""


def _require_shallow(body: bytes) -> None:
    """Counts brackets outside strings, before the recursive parser sees them."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(body):
        depth += _STEP.get(token.group(), 0)
        if depth > MAX_DEPTH:
            raise Unreadable("The body is nested too deeply.")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice")
    return result


def _storable(value: Any) -> Any:
    match value:
        case str():
            return _NOT_STORABLE.sub("\ufffd", value)
        case list():
            return [_storable(item) for item in value]
        case dict():
            return {_storable(key): _storable(item) for key, item in value.items()}
    return value


# Made once: ``json.loads`` with hooks makes a decoder for each call.
_decoder = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_unique)
