"""Delivery of the local provider's events: signed, and posted to the webhooks service, as Stripe does.

An event is a row until the service has accepted it, in order. The service recognises one that is posted twice, so two
processes may deliver at the same time.
"""

import json
import logging
import time
from collections.abc import Sequence

import httpx
from django.conf import settings

from saas.billing.models import LocalObject
from saas.webhook_events import actions
from saas.webhook_events.event_storage import IncomingEvent
from saas.webhook_events.models import WebhookEvent
from saas.webhook_events.processing import event_worker
from saas.webhook_events.signatures import sign

logger = logging.getLogger(__name__)

BATCH = 200
TIMEOUT_SECONDS = 5


def deliver_events() -> int:
    """Post the events that wait, until one is not accepted. Returns how many were."""
    waiting = list(LocalObject.objects.undelivered()[:BATCH])
    accepted = 0
    if waiting and settings.STRIPE_WEBHOOK_SECRETS:
        with httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            while accepted < len(waiting) and _post(client, waiting[accepted]):
                accepted += 1
    return accepted


def _post(client: httpx.Client, row: LocalObject) -> bool:
    body = _body(row)
    headers = {"Content-Type": "application/json", "Stripe-Signature": _signature(body)}
    try:
        answer = client.post(
            f"{settings.SERVICE_BASE_URLS['webhooks']}/api/webhooks/stripe", content=body, headers=headers
        )
    except httpx.HTTPError as error:
        logger.info("local_events_wait", extra={"kind": type(error).__name__})
        return False
    if answer.status_code != httpx.codes.ACCEPTED:
        logger.warning("local_event_refused", extra={"event": row.id, "status": answer.status_code})
        return False
    row.delete()
    return True


def process_undelivered_events() -> None:
    """Receive and process every event that waits in this process: with the same signature check, but without a service or
    a worker."""
    while waiting := list(LocalObject.objects.undelivered()[:BATCH]):
        _receive(waiting)
        events = WebhookEvent.objects.by_external_ids([row.pk for row in waiting])
        event_worker.process_events(list(events.values_list("pk", flat=True)))


def _receive(rows: Sequence[LocalObject]) -> None:
    bodies = [_body(row) for row in rows]
    for body in bodies:
        actions.verify_signature(_signature(body), body)
    actions.store_deliveries([IncomingEvent.parse(body, headers={}) for body in bodies])
    LocalObject.objects.filter(pk__in=[row.pk for row in rows]).delete()


def _body(row: LocalObject) -> bytes:
    return json.dumps(row.data, separators=(",", ":")).encode()


def _signature(body: bytes) -> str:
    return sign(body, secret=settings.STRIPE_WEBHOOK_SECRETS[0], at=int(time.time()))
