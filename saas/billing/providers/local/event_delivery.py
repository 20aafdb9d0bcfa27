"""The local provider's events on their way: signed, and posted to the webhooks service, as Stripe posts its own.

An event waits as a row until the service has taken it, in the order of telling. One that is posted twice is a repeat
there, so two may deliver at once.
"""

import json
import logging
import time

import httpx
from django.conf import settings

from saas.billing.models import LocalObject
from saas.webhook_events import actions
from saas.webhook_events.models import WebhookEvent
from saas.webhook_events.processing import event_worker
from saas.webhook_events.signatures import sign

logger = logging.getLogger(__name__)

BATCH = 200
TIMEOUT_SECONDS = 5


def deliver_events() -> int:
    """Post what waits until the service does not take one; tells how many it took."""
    waiting = list(LocalObject.objects.undelivered()[:BATCH])
    taken = 0
    if waiting and settings.STRIPE_WEBHOOK_SECRETS:
        with httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            while taken < len(waiting) and _post(client, waiting[taken]):
                taken += 1
    return taken


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
    """Let everything that waits come in and take effect in this process: the same signed bytes through the same check,
    where no service and no worker need run."""
    for row in LocalObject.objects.undelivered():
        body = _body(row)
        actions.accept_delivery(body, signature=_signature(body), headers={}, address="")
        row.delete()
        event_worker.process_event(WebhookEvent.objects.by_external_ids([row.data["id"]]).get().pk)


def _body(row: LocalObject) -> bytes:
    return json.dumps(row.data, separators=(",", ":")).encode()


def _signature(body: bytes) -> str:
    return sign(body, secret=settings.STRIPE_WEBHOOK_SECRETS[0], at=int(time.time()))
