"""One row for each event, at the moment it was written: how fast the inbox is drained is read off the table."""

from django.db import connection

from saas.webhook_events.models import WebhookEvent
from saas.webhook_events.registry import EventData, handles


@handles("bench.*")
def have_an_effect(event: WebhookEvent, data: EventData) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO bench_effect (event) VALUES (%s)", [event.external_id])
