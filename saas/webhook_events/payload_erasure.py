"""Replace the payloads of stored events by redacted ones, which are marked ``erased``. Hash and size stay those of the
bytes that the provider signed, so that a repeated delivery is still known as one."""

import json
from collections.abc import Callable

from django.db.models import QuerySet

from saas.security.untrusted_json import JSONObject
from saas.webhook_events.models import WebhookEvent, WebhookPayload

BATCH = 200
ERASED = "erased"  # a field at the event's top


def erase_payloads(events: QuerySet[WebhookEvent], redact: Callable[[JSONObject], JSONObject]) -> list[WebhookEvent]:
    """Apply ``redact`` to each event that is JSON; return those that it changed. What is no JSON is emptied if ``redact``
    changes it as a text."""
    changed = []
    for payload in WebhookPayload.objects.filter(event__in=events).select_related("event").iterator(chunk_size=BATCH):
        before = _read(bytes(payload.body))
        if (after := redact(before)) != before:
            body = json.dumps({**after, ERASED: True}, separators=(",", ":")).encode()
            WebhookPayload.objects.filter(pk=payload.pk).update(body=body)
            changed.append(payload.event)
    return changed


def _read(body: bytes) -> JSONObject:
    """What is no object of JSON is one text, under ``bytes``."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"bytes": body.decode("utf-8", "replace")}
