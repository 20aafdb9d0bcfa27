"""The same rows in the same tables as ours: the same durable work, by the shortest statement."""

import json
from typing import Any

_INSERT = """
WITH incoming (external_id, type, object_id, customer_id, created, body) AS (VALUES {rows}),
stored AS (
    INSERT INTO webhook_events_webhookevent (
        provider, external_id, type, api_version, livemode, account, object_type, object_id, customer_id,
        provider_created, body_sha256, body_size, source, status, last_error,
        attempts, failures, losses, generation, replay_count, body_conflict
    )
    SELECT 'stripe', external_id, type, '', false, '', 'bench', object_id, customer_id, to_timestamp(created),
        encode(sha256(body), 'hex'), length(body), 'delivery', 'queued', '', 0, 0, 0, 0, 0, false
    FROM incoming
    ON CONFLICT DO NOTHING
    RETURNING id, external_id
)
INSERT INTO webhook_events_webhookpayload (event_id, body, headers)
SELECT stored.id, incoming.body, '{{}}' FROM stored JOIN incoming USING (external_id)
"""
_ROW = "(%s, %s, %s, %s, %s::bigint, %s::bytea)"

Row = tuple[str, str, str, str, int, bytes]


def row(body: bytes) -> Row:
    event: dict[str, Any] = json.loads(body)
    thing = event["data"]["object"]
    return event["id"], event["type"], thing["id"], thing["customer"], event["created"], body


def insert(rows: list[Row]) -> tuple[str, list[Any]]:
    """The statement and its parameters."""
    return _INSERT.format(rows=", ".join([_ROW] * len(rows))), [value for row in rows for value in row]
