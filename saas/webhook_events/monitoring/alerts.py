"""Telling somebody: a mail to ``WEBHOOKS_NOTIFY_EMAIL``, at most one of a kind in a window."""

import logging
import time

from django.conf import settings

from saas.mail.actions import queue_mail
from saas.webhook_events.models import WebhookEvent

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 15 * 60
PAYMENT_TYPES = ("invoice.", "charge.", "payment_intent.", "checkout.session.")
RETRIES_BEFORE_MAIL = 2  # a first failure is usual: an event can overtake our own commit


def alert_event_failed(event_id: int) -> None:
    """In the transaction that makes the event ``failed``."""
    event = WebhookEvent.objects.get(pk=event_id)
    is_payment = event.type.startswith(PAYMENT_TYPES)
    send_alert(
        "failed-payment" if is_payment else "failed",
        f"an event has failed: {event.type}",
        event=event,
        reason=event.last_error,
    )


def alert_event_retried(event_id: int, failures: int) -> None:
    """In the transaction that schedules the next try."""
    if failures >= RETRIES_BEFORE_MAIL:
        event = WebhookEvent.objects.get(pk=event_id)
        send_alert("retrying", f"an event keeps failing: {event.type}", event=event, reason=event.last_error)


def send_alert(kind: str, what: str, *, event: WebhookEvent | None = None, reason: str = "") -> None:
    """Say ``what`` happened, unless a mail of this ``kind`` went out in the running window."""
    logger.error("webhook_alert", extra={"kind": kind, "what": what})
    if not settings.WEBHOOKS_NOTIFY_EMAIL:
        return
    window = int(time.time() // WINDOW_SECONDS)
    queue_mail(
        "webhook_alert",
        to=settings.WEBHOOKS_NOTIFY_EMAIL,
        context={
            "what": what,
            "reason": reason,
            "event_id": event.external_id if event else "",
            "event_type": event.type if event else "",
            "logs": f"{settings.SERVICE_BASE_URLS['webhooks']}/api/webhooks/logs",
            "minutes": str(WINDOW_SECONDS // 60),
        },
        dedupe_key=f"webhooks:{kind}:{window}",
    )
