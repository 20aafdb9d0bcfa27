"""What PostgreSQL does for a whole batch in one statement. Each is one text for any number of events.

They are planned each time: a plan that was made while little waits, and kept, would read the whole table when much does.
"""

from collections.abc import Sequence
from typing import Any

from django.db import connection

from saas.database.prepared_queries import postgres_array

# Commits by itself. However many wait, and whatever the planner believes of that, it walks along the index of what is due and
# stops: one order that the index has, and the newest attempt looked up by its number (an anti-join was planned for a handful
# of rows and took a second among thousands). A claim changes no column that an index has, so it adds to none.
# A row that another claim has changed meanwhile is looked at again as it is now, beside everything else as it was when the
# statement began: that other attempt cannot be seen there, but that the event's number is another one can.
CLAIM_SQL = """
WITH due AS (
    SELECT id, next_attempt_at FROM webhook_events_webhookevent AS event
    WHERE status IN ('queued', 'retry_scheduled', 'replay_queued') AND next_attempt_at <= statement_timestamp()
        AND losses = 0 AND (attempts = 0 OR coalesce((
            SELECT attempt.outcome FROM webhook_events_webhookattempt AS attempt
            WHERE attempt.event_id = event.id AND attempt.number = event.attempts
        ), '') <> 'running' AND attempts = (
            SELECT seen.attempts FROM webhook_events_webhookevent AS seen WHERE seen.id = event.id
        ))
    ORDER BY next_attempt_at LIMIT %(limit)s
    FOR UPDATE OF event SKIP LOCKED
),
claimed AS (
    UPDATE webhook_events_webhookevent AS event SET attempts = attempts + 1
    FROM due WHERE event.id = due.id
    RETURNING event.id, attempts, generation, status, failures, type, customer_id, object_id, external_id, replay_count,
        received_at, event.next_attempt_at
),
noted AS (
    INSERT INTO webhook_events_webhookattempt
        (event_id, number, generation, trigger, solo, worker, started_at, outcome, error)
    SELECT id, attempts, generation,
        CASE status WHEN 'queued' THEN 'delivery' WHEN 'retry_scheduled' THEN 'sweep' ELSE 'replay' END,
        false, %(worker)s, statement_timestamp(), 'running', ''
    FROM claimed
)
SELECT id, attempts, failures, coalesce(nullif(customer_id, ''), nullif(object_id, ''), external_id), type,
    CASE replay_count WHEN 0 THEN extract(epoch FROM statement_timestamp() - received_at)::float END
FROM claimed ORDER BY next_attempt_at, id
"""

_FINISH_SQL = """
WITH ended AS (
    UPDATE webhook_events_webhookattempt AS attempt SET outcome = %(outcome)s, finished_at = statement_timestamp()
    FROM unnest(%(event_ids)s::bigint[], %(numbers)s::integer[]) AS claim (event_id, number)
    WHERE attempt.event_id = claim.event_id AND attempt.number = claim.number
)
UPDATE webhook_events_webhookevent SET status = %(outcome)s, last_error = %(reason)s,
    processed_at = CASE %(outcome)s WHEN 'processed' THEN statement_timestamp() ELSE processed_at END
WHERE id = ANY(%(event_ids)s::bigint[])
"""


def claim_due(limit: int, worker: str) -> list[tuple[Any, ...]]:
    """The fields of as many claims."""
    with connection.cursor() as cursor:
        cursor.execute(CLAIM_SQL, {"limit": limit, "worker": worker})
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def finish_attempts(event_ids: Sequence[int], numbers: Sequence[int], outcome: str, reason: str) -> None:
    """Events and their attempts. ``outcome`` is an attempt's and an event's status at once."""
    arrays = {"event_ids": postgres_array(event_ids), "numbers": postgres_array(numbers)}
    with connection.cursor() as cursor:
        cursor.execute(_FINISH_SQL, {**arrays, "outcome": outcome, "reason": reason})
