"""What is deleted when. Events themselves are kept.

The payloads of processed events are kept until their object has ended and ``ENDED_OBJECT_PAYLOADS`` longer, because the rows of
other apps are projections of them. Deletes are small and frequent, so that none holds locks for long.
"""

import time
from datetime import timedelta

from django.db.models import Exists, OuterRef
from django.utils import timezone

from saas.webhook_events import dispatch
from saas.webhook_events.models import WebhookAttempt, WebhookDelivery, WebhookEvent, WebhookPayload

ENDED_OBJECT_PAYLOADS = timedelta(days=400)  # all payloads of an object are deleted together
UNHANDLED_PAYLOADS = timedelta(days=90)  # of events that were ignored or quarantined
ATTEMPTS = timedelta(days=90)
DELIVERIES = timedelta(days=30)
WINDOW = timedelta(days=30)  # how far back a run looks: its cost must not grow with the table
STEP = 500
OBJECTS_AT_ONCE = 50
DELETE_SECONDS = 20.0

_UNNEEDED = [WebhookEvent.Status.IGNORED, WebhookEvent.Status.QUARANTINED]


def delete_expired(seconds: float = DELETE_SECONDS) -> int:
    """Delete expired rows, for at most ``seconds``. Return how many."""
    deadline = time.monotonic() + seconds
    deleted = 0
    while time.monotonic() < deadline:
        step = _payloads() + _ended_object_payloads() + _attempts() + _deliveries()
        deleted += step
        if not step:
            break
    return deleted


def _payloads() -> int:
    before = timezone.now() - UNHANDLED_PAYLOADS
    payload = WebhookPayload.objects.filter(event=OuterRef("pk"))
    events = WebhookEvent.objects.filter(
        Exists(payload), received_at__lt=before, received_at__gte=before - WINDOW, status__in=_UNNEEDED
    )
    ids = list(events.order_by("received_at").values_list("pk", flat=True)[:STEP])
    return WebhookPayload.objects.filter(pk__in=ids).delete()[0]


def _ended_object_payloads() -> int:
    """Delete all payloads of an object or none: a projection of the rest would differ."""
    until = timezone.now() - ENDED_OBJECT_PAYLOADS
    dead = {object_id for ended in dispatch.object_end_date_sources() for object_id in ended(until - WINDOW, until)}
    payloads = WebhookPayload.objects.filter(event__object_id__in=dead).exclude(event__status__in=WebhookEvent.WAITING)
    with_payload = payloads.order_by().values_list("event__object_id", flat=True).distinct()
    object_ids = list(with_payload[:OBJECTS_AT_ONCE])
    return payloads.filter(event__object_id__in=object_ids).delete()[0] if object_ids else 0


def retention_lag() -> timedelta:
    """How long the oldest expired row has been expired."""
    now = timezone.now()
    attempt = WebhookAttempt.objects.order_by("pk").values_list("started_at", flat=True).first()
    delivery = WebhookDelivery.objects.order_by("at").values_list("at", flat=True).first()
    overdue = [now - at - limit for at, limit in ((attempt, ATTEMPTS), (delivery, DELIVERIES)) if at]
    return max([timedelta(), *overdue])


def _attempts() -> int:
    """Ids grow with time: only the oldest can be expired."""
    before = timezone.now() - ATTEMPTS
    oldest = WebhookAttempt.objects.order_by("pk").values_list("pk", "started_at")[:STEP]
    return WebhookAttempt.objects.filter(pk__in=[pk for pk, at in oldest if at < before]).delete()[0]


def _deliveries() -> int:
    before = timezone.now() - DELIVERIES
    ids = WebhookDelivery.objects.filter(at__lt=before).order_by("at").values_list("pk", flat=True)[:STEP]
    return WebhookDelivery.objects.filter(pk__in=list(ids)).delete()[0]
