"""Alerts of the inbox: what is wrong now, as rows, and the mails about it.

A mail goes to ``WEBHOOKS_NOTIFY_EMAIL``, at most one of a kind in ``WINDOW_SECONDS``. A ``WebhookAlert`` is a row as long
as something is wrong; raising and clearing it each send one mail.
"""

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial, reduce
from operator import or_

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from saas.database.clock import database_now
from saas.mail.actions import queue_mail
from saas.operations.checks import HEARTBEAT_MAX_AGE
from saas.operations.models import Heartbeat
from saas.webhook_events import retention
from saas.webhook_events.models import WebhookAlert, WebhookDelivery, WebhookEvent
from saas.webhook_events.monitoring.statistics import COUNT_LIMIT, oldest_due_age

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 15 * 60
PAYMENT_TYPES = ("invoice.", "charge.", "payment_intent.", "checkout.session.")
RETRIES_BEFORE_MAIL = 2  # a first failure is usual: an event can overtake our own commit
LONGEST_WAIT = timedelta(minutes=2)
REFUSALS_PER_MINUTE = 5
SILENCE, USED_TO_SPEAK = timedelta(days=1), timedelta(days=7)
CLOCK_SKEW = timedelta(seconds=30)
RETENTION_LAG = timedelta(days=2)  # a pass along the payloads begins once a day

_REFUSALS = [
    WebhookDelivery.Outcome.BAD_SIGNATURE,
    WebhookDelivery.Outcome.STALE,
    WebhookDelivery.Outcome.MALFORMED,
]
_IS_PAYMENT = reduce(or_, (Q(type__startswith=f"{api}{prefix}") for prefix in PAYMENT_TYPES for api in ("", "v1.")))


def alert_event_failed(event_id: int) -> None:
    """Call in the transaction that makes the event ``failed``."""
    event = WebhookEvent.objects.get(pk=event_id)
    kind = "failed-payment" if event.handled_type.startswith(PAYMENT_TYPES) else "failed"
    send_alert(kind, f"an event has failed: {event.type}", event=event, reason=event.last_error)


def alert_event_retried(event_id: int, failures: int) -> None:
    """Call in the transaction that schedules the next attempt."""
    if failures >= RETRIES_BEFORE_MAIL:
        event = WebhookEvent.objects.get(pk=event_id)
        send_alert("retrying", f"an event keeps failing: {event.type}", event=event, reason=event.last_error)


def send_alert(kind: str, what: str, *, event: WebhookEvent | None = None, reason: str = "") -> None:
    """Log and mail ``what`` happened, unless a mail of this ``kind`` was queued in the same window."""
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


def check_alerts() -> None:
    """Run every check once; raise and clear alerts."""
    for kind in ALERT_KINDS:
        check_alert(kind)


@transaction.atomic
def check_alert(kind: str) -> None:
    """Run one check, and raise or clear its alert."""
    if what := _CHECKS[kind]():
        _, is_new = WebhookAlert.objects.get_or_create(kind=kind, defaults={"what": what})
        if is_new:
            send_alert(kind, what)
    elif WebhookAlert.objects.filter(kind=kind).delete()[0]:
        send_alert(f"{kind}-recovered", f"recovered: {kind}")


def _failed(condition: Q) -> str:
    rows = WebhookEvent.objects.filter(condition, status=WebhookEvent.Status.FAILED).order_by()
    count = rows[:COUNT_LIMIT].count()
    return f"{count} events have failed, and wait to be looked at" if count else ""


def _sweep() -> str:
    age = Heartbeat.objects.age("worker", timezone.now())
    return f"no worker has swept for {int(age.total_seconds())} s" if age and age > HEARTBEAT_MAX_AGE else ""


def _retention() -> str:
    lag = retention.retention_lag()
    return f"what is past its time has not been deleted for {lag.days} days" if lag > RETENTION_LAG else ""


def _lag() -> str:
    wait = oldest_due_age()
    return f"an event has been due for {int(wait.total_seconds())} s" if wait > LONGEST_WAIT else ""


def _signatures() -> str:
    """Count refusals: many at once are most often a rotation of secrets that was forgotten here."""
    recent = WebhookDelivery.objects.filter(at__gte=timezone.now() - timedelta(minutes=1), outcome__in=_REFUSALS)
    count = recent.count()
    return f"{count} deliveries were refused within a minute" if count > REFUSALS_PER_MINUTE else ""


def _silence() -> str:
    newest = WebhookEvent.objects.order_by("-received_at").filter(source=WebhookEvent.Source.DELIVERY)
    last_received_at = newest.values_list("received_at", flat=True).first()
    is_silent = last_received_at and SILENCE < timezone.now() - last_received_at < USED_TO_SPEAK
    return "no event has come for a day" if is_silent else ""


def _clock() -> str:
    difference = abs(timezone.now() - database_now())
    return f"a worker's clock is {int(difference.total_seconds())} s off" if difference > CLOCK_SKEW else ""


# Each returns what is wrong, or an empty string.
_CHECKS: dict[str, Callable[[], str]] = {
    "sweep": _sweep,
    "failed": partial(_failed, ~_IS_PAYMENT),
    "failed-payment": partial(_failed, _IS_PAYMENT),
    "lag": _lag,
    "signatures": _signatures,
    "silence": _silence,
    "clock": _clock,
    "retention": _retention,
}
ALERT_KINDS = tuple(_CHECKS)
