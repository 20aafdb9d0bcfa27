"""Storing many events in one round trip.

On PostgreSQL one statement inserts events and payloads, and commits. Of two concurrent inserts of the same event the later one
waits, and then finds a conflict. SQLite has one writer: there, existing events are read first, and the missing ones inserted.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from saas.database.prepared_queries import prepared_cursor
from saas.webhook_events.envelope import QUARANTINE_PREFIX, Envelope, Unreadable, read_event
from saas.webhook_events.models import WebhookEvent, WebhookPayload

PROVIDER = "stripe"
KEPT_HEADERS = ("Content-Type", "Content-Encoding", "User-Agent")
_HEADER_LENGTH = 500
# Plain strings: members of an enumeration are several times slower to look up and to write as JSON.
_DELIVERY = WebhookEvent.Source.DELIVERY.value
_QUEUED, _QUARANTINED = WebhookEvent.Status.QUEUED.value, WebhookEvent.Status.QUARANTINED.value
_NO_DELAY = timedelta()
_encode = json.JSONEncoder().encode


class IncomingEvent(NamedTuple):
    """An event that is to be stored: exact bytes, and what was read from them.

    ``envelope`` is None, and ``fault`` says why, where the bytes are no event. Workers leave the event alone for
    ``processing_delay``, in which the caller can process it.
    """

    body: bytes
    envelope: Envelope | None
    fault: str = ""
    headers: Mapping[str, str] = {}
    address: str = ""
    source: str = _DELIVERY
    processing_delay: timedelta = _NO_DELAY

    @classmethod
    def parse(cls, body: bytes, *, headers: Mapping[str, str], address: str = "") -> "IncomingEvent":
        """Read a delivery whose signature is good. Never raises. Keeps only the headers that help to diagnose an event."""
        kept = {name: headers[name][:_HEADER_LENGTH] for name in KEPT_HEADERS if headers.get(name)}
        try:
            return cls(body, Envelope.from_event(read_event(body)), "", kept, address)
        except Unreadable as error:
            return cls(body, None, str(error), kept, address)

    @property
    def external_id(self) -> str:
        """The provider's event id; for bytes that are no event, their hash."""
        return self.envelope.id if self.envelope else QUARANTINE_PREFIX + sha256(self.body).hexdigest()

    def columns(self) -> dict[str, Any]:
        """The event's columns except those that the database fills in, and the body's hash.

        Unreadable bytes are quarantined, not refused: the provider would send the same bytes again for three days.
        """
        known = self.envelope
        return {
            "provider": PROVIDER,
            "external_id": self.external_id,
            "type": known.type if known else "",
            "api_version": known.api_version if known else "",
            "livemode": known.livemode if known else False,
            "account": known.account if known else "",
            "object_type": known.object_type if known else "",
            "object_id": known.object_id if known else "",
            "customer_id": known.customer_id if known else "",
            "provider_created": (known.created if known else None) or timezone.now(),
            "body_size": len(self.body),
            "source": self.source,
            "status": _QUEUED if known else _QUARANTINED,
            "last_error": self.fault,
        }


def insert_events(events: Sequence[IncomingEvent]) -> dict[str, int]:
    """Store events with distinct external ids. Return the primary keys of the new ones by external id."""
    if not events:
        return {}
    if connection.vendor != "postgresql":
        return _insert_on_sqlite(events)
    with prepared_cursor(connection) as cursor:
        cursor.execute(INSERT_STATEMENT, insert_parameters(events))
        return dict(cursor.fetchall())


# All rows are passed as one JSON value and all bodies as one byte string: two parameters and the same statement for any number
# of events. A placeholder for each value costs the server and us twice as much (saas/docs/performance.md).
# PostgreSQL hashes, because Python would hand the interpreter to another thread for each body.
_INSERT_TEMPLATE = """
WITH incoming AS (
    SELECT *, substring(%s::bytea FROM body_at FOR body_size) AS body FROM json_to_recordset(%s::json) AS incoming (
        provider text, external_id text, type text, api_version text, livemode boolean, account text, object_type text,
        object_id text, customer_id text, provider_created timestamptz, body_size integer,
        source text, status text, last_error text, processing_delay interval, headers jsonb, body_at integer
    )
),
stored AS (
    INSERT INTO webhook_events_webhookevent
        ({columns}, body_sha256, next_attempt_at, attempts, failures, losses, generation, replay_count, body_conflict)
    SELECT {columns}, encode(sha256(body), 'hex'), statement_timestamp() + processing_delay, 0, 0, 0, 0, 0, false FROM incoming
    ON CONFLICT DO NOTHING
    RETURNING id, external_id
),
payloads AS (
    INSERT INTO webhook_events_webhookpayload (event_id, body, headers)
    SELECT stored.id, incoming.body, incoming.headers FROM stored JOIN incoming USING (external_id)
)
SELECT external_id, id FROM stored
"""
INSERT_STATEMENT = _INSERT_TEMPLATE.format(columns=", ".join(IncomingEvent(b"", None).columns()))

InsertParameters = tuple[bytes, str]


def insert_parameters(events: Sequence[IncomingEvent]) -> InsertParameters:
    """The parameters of ``INSERT_STATEMENT``: all bodies, and all rows as JSON. It returns external ids and primary keys."""
    ordered = sorted(events, key=lambda event: event.external_id)  # two batches with the same ids cannot deadlock
    rows, body_at = [], 1
    for event in ordered:
        row = event.columns()
        row["provider_created"] = row["provider_created"].isoformat()
        row["processing_delay"] = event.processing_delay.total_seconds()
        row["headers"] = event.headers
        row["body_at"] = body_at
        body_at += len(event.body)
        rows.append(row)
    return b"".join([event.body for event in ordered]), _encode(rows)


@transaction.atomic
def _insert_on_sqlite(events: Sequence[IncomingEvent]) -> dict[str, int]:
    ids = [event.external_id for event in events]
    existing = set(WebhookEvent.objects.by_external_ids(ids).values_list("external_id", flat=True))
    missing = [event for event in events if event.external_id not in existing]
    stored = WebhookEvent.objects.bulk_create(
        [
            WebhookEvent(
                **event.columns(),
                body_sha256=sha256(event.body).hexdigest(),
                next_attempt_at=Now() + event.processing_delay,
            )
            for event in missing
        ]
    )
    WebhookPayload.objects.bulk_create(
        [
            WebhookPayload(event=row, body=event.body, headers=event.headers)
            for row, event in zip(stored, missing, strict=True)
        ]
    )
    return {row.external_id: row.pk for row in stored}
