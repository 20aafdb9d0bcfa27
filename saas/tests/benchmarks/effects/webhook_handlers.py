"""One row for each event, at the moment it was written: how fast the inbox is drained is read off the table."""

from collections.abc import Sequence

from django.db import connection

from saas.webhook_events.dispatch import handles_batch
from saas.webhook_events.envelope import EventData
from saas.webhook_events.models import WebhookEvent


@handles_batch("bench.*")
def insert_effects(events: Sequence[tuple[WebhookEvent, EventData]]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO bench_effect (event) SELECT unnest(%s::text[])", [[event.external_id for event, _ in events]]
        )
