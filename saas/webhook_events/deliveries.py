"""A request that brought an event, once its signature stood."""

from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple

from saas.webhook_events.envelope import QUARANTINE_PREFIX, Envelope, Unreadable, read_event
from saas.webhook_events.event_storage import NewEvent
from saas.webhook_events.models import WebhookEvent

KEPT_HEADERS = ("Content-Type", "Content-Encoding", "User-Agent")
_HEADER_LENGTH = 500
# Plain strings: members of an enumeration are several times slower to look up and to write as JSON.
_SOURCE = WebhookEvent.Source.DELIVERY.value
_QUEUED, _QUARANTINED = WebhookEvent.Status.QUEUED.value, WebhookEvent.Status.QUARANTINED.value


class Delivery(NamedTuple):
    """Exact bytes, and what they say. ``envelope`` is None, and ``fault`` says why, where they are no event."""

    body: bytes
    envelope: Envelope | None
    fault: str
    headers: dict[str, str]
    address: str = ""

    @classmethod
    def parse(cls, body: bytes, *, headers: Mapping[str, str], address: str = "") -> "Delivery":
        """Parse; never raises. Of the headers those are kept that help somebody who looks at the event."""
        kept = {name: headers[name][:_HEADER_LENGTH] for name in KEPT_HEADERS if headers.get(name)}
        try:
            return cls(body, Envelope.from_event(read_event(body)), "", kept, address)
        except Unreadable as error:
            return cls(body, None, str(error), kept, address)

    @property
    def external_id(self) -> str:
        """The provider's event id; for bytes that are no event, their hash."""
        return self.envelope.id if self.envelope else QUARANTINE_PREFIX + sha256(self.body).hexdigest()

    def new_event(self) -> NewEvent:
        """A retry would bring the same unreadable bytes for three days: they are kept aside for a person to look at."""
        status = _QUEUED if self.envelope else _QUARANTINED
        return NewEvent(self.external_id, self.body, self.headers, _SOURCE, status, self.fault, self.envelope)
