"""Many events into the tables in one round trip.

PostgreSQL takes event and payload in one statement, which commits by itself; a loser of a race waits for the winner and
then conflicts. SQLite has one writer, so reading first and inserting what is missing is the same thing there.
"""

import json
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from saas.database.prepared_queries import prepared_cursor
from saas.webhook_events.envelope import Envelope
from saas.webhook_events.models import WebhookEvent, WebhookPayload

PROVIDER = "stripe"
_encode = json.JSONEncoder().encode
_NO_DELAY = timedelta()


class NewEvent(NamedTuple):
    """A row to be. ``head_start`` keeps the workers away for a moment: whoever stores it acts on it first."""

    external_id: str
    body: bytes
    headers: dict[str, str]
    source: str
    status: str
    last_error: str = ""
    envelope: Envelope | None = None
    processing_delay: timedelta = _NO_DELAY

    def columns(self) -> dict[str, Any]:
        """The event's columns but those that the database fills in, and the body's hash."""
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
            "status": self.status,
            "last_error": self.last_error,
        }


def insert_events(events: Sequence[NewEvent]) -> dict[str, int]:
    """Primary keys by external id of those that were not there yet. The events' external ids are distinct."""
    if not events:
        return {}
    return _insert_on_postgresql(events) if connection.vendor == "postgresql" else _insert_on_sqlite(events)


# All rows travel as one JSON value and all bodies as one string of bytes: two parameters and the same statement whatever
# their number. A placeholder for each value costs the server and us twice as much (saas/docs/performance.md).
# PostgreSQL hashes, because Python would hand the interpreter to another thread for each body.
_INSERT_TEMPLATE = """
WITH incoming AS (
    SELECT *, substring(%s::bytea FROM body_at FOR body_size) AS body FROM json_to_recordset(%s::json) AS incoming (
        provider text, external_id text, type text, api_version text, livemode boolean, account text, object_type text,
        object_id text, customer_id text, provider_created timestamptz, body_size integer,
        source text, status text, last_error text, head_start interval, headers jsonb, body_at integer
    )
),
stored AS (
    INSERT INTO webhook_events_webhookevent
        ({columns}, body_sha256, next_attempt_at, attempts, failures, losses, generation, replay_count, body_conflict)
    SELECT {columns}, encode(sha256(body), 'hex'), statement_timestamp() + head_start, 0, 0, 0, 0, 0, false FROM incoming
    ON CONFLICT DO NOTHING
    RETURNING id, external_id
),
payloads AS (
    INSERT INTO webhook_events_webhookpayload (event_id, body, headers)
    SELECT stored.id, incoming.body, incoming.headers FROM stored JOIN incoming USING (external_id)
)
SELECT external_id, id FROM stored
"""


_COLUMNS = ", ".join(NewEvent("", b"", {}, "", "").columns())
INSERT_STATEMENT = _INSERT_TEMPLATE.format(columns=_COLUMNS)


InsertParameters = tuple[bytes, str]


def insert_parameters(events: Sequence[NewEvent]) -> InsertParameters:
    """What ``STATEMENT`` takes: all bodies, and all rows in JSON. It returns external ids and primary keys."""
    in_one_order = sorted(events)  # two batches with the same ids cannot deadlock
    rows, body_at = [], 1
    for event in in_one_order:
        row = event.columns()
        row["provider_created"] = row["provider_created"].isoformat()
        row["head_start"] = event.processing_delay.total_seconds()
        row["headers"] = event.headers
        row["body_at"] = body_at
        body_at += len(event.body)
        rows.append(row)
    return b"".join([event.body for event in in_one_order]), _encode(rows)


def _insert_on_postgresql(events: Sequence[NewEvent]) -> dict[str, int]:
    with prepared_cursor(connection) as cursor:
        cursor.execute(INSERT_STATEMENT, insert_parameters(events))
        return dict(cursor.fetchall())


@transaction.atomic
def _insert_on_sqlite(events: Sequence[NewEvent]) -> dict[str, int]:
    ids = [event.external_id for event in events]
    present = set(
        WebhookEvent.objects.filter(provider=PROVIDER, external_id__in=ids).values_list("external_id", flat=True)
    )
    missing = [event for event in events if event.external_id not in present]
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
