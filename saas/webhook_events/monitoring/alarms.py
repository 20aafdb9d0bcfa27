"""Watching the inbox: an alarm is a row while something is wrong. Its coming and its going are each told once."""

from collections.abc import Callable
from datetime import timedelta
from functools import reduce
from operator import or_

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from saas.database.clock import database_now
from saas.operations.checks import HEARTBEAT_MAX_AGE
from saas.operations.models import Heartbeat
from saas.webhook_events import retention
from saas.webhook_events.models import WebhookAlarm, WebhookDelivery, WebhookEvent, WebhookEventQuerySet
from saas.webhook_events.monitoring import alerts
from saas.webhook_events.monitoring.statistics import COUNT_LIMIT, oldest_due_age

LONGEST_WAIT = timedelta(minutes=2)
REFUSALS_PER_MINUTE = 5
SILENCE, USED_TO_SPEAK = timedelta(days=1), timedelta(days=7)
CLOCK_SKEW = timedelta(seconds=30)
RETENTION_LAG = timedelta(days=1)

_REFUSALS = [
    WebhookDelivery.Outcome.BAD_SIGNATURE,
    WebhookDelivery.Outcome.STALE,
    WebhookDelivery.Outcome.MALFORMED,
]
_IS_PAYMENT = reduce(or_, (Q(type__startswith=prefix) for prefix in alerts.PAYMENT_TYPES))


def check_alarms() -> None:
    """Look at everything once; raise and clear alarms."""
    for kind in _CHECKS:
        _check(kind)


def check_sweep_alarm() -> None:
    """For those who are there when nobody sweeps, and so nobody watches."""
    _check("sweep")


def _check(kind: str) -> None:
    if what := _CHECKS[kind]():
        _raise(kind, what)
    else:
        _clear(kind)


@transaction.atomic
def _raise(kind: str, what: str) -> None:
    _, is_new = WebhookAlarm.objects.get_or_create(kind=kind, defaults={"what": what})
    if is_new:
        alerts.send_alert(kind, what)


@transaction.atomic
def _clear(kind: str) -> None:
    if WebhookAlarm.objects.filter(kind=kind).delete()[0]:
        alerts.send_alert(f"{kind}-recovered", f"recovered: {kind}")


def _failed() -> str:
    return _count_of_failed(WebhookEvent.objects.exclude(_IS_PAYMENT))


def _failed_payments() -> str:
    return _count_of_failed(WebhookEvent.objects.filter(_IS_PAYMENT))


def _count_of_failed(rows: WebhookEventQuerySet) -> str:
    count = rows.filter(status=WebhookEvent.Status.FAILED).order_by()[:COUNT_LIMIT].count()
    return f"{count} events have failed, and wait for somebody to look at them" if count else ""


def _sweep() -> str:
    age = Heartbeat.objects.age("worker", timezone.now())
    return f"nobody has swept for {int(age.total_seconds())} s" if age and age > HEARTBEAT_MAX_AGE else ""


def _retention() -> str:
    lag = retention.retention_lag()
    return f"what is past its time has not been deleted for {lag.days} days" if lag > RETENTION_LAG else ""


def _lag() -> str:
    wait = oldest_due_age()
    return f"an event has been due for {int(wait.total_seconds())} s" if wait > LONGEST_WAIT else ""


def _signatures() -> str:
    """A burst of refusals is most often a rotation of secrets that was forgotten here."""
    recent = WebhookDelivery.objects.filter(at__gte=timezone.now() - timedelta(minutes=1), outcome__in=_REFUSALS)
    count = recent.count()
    return f"{count} deliveries were refused within a minute" if count > REFUSALS_PER_MINUTE else ""


def _silence() -> str:
    newest = WebhookEvent.objects.order_by("-received_at").filter(source=WebhookEvent.Source.DELIVERY)
    heard_at = newest.values_list("received_at", flat=True).first()
    is_silent = heard_at and SILENCE < timezone.now() - heard_at < USED_TO_SPEAK
    return "no event has come for a day" if is_silent else ""


def _clock() -> str:
    difference = abs(timezone.now() - database_now())
    return f"a worker's clock is {int(difference.total_seconds())} s off" if difference > CLOCK_SKEW else ""


_CHECKS: dict[str, Callable[[], str]] = {
    "sweep": _sweep,
    "failed": _failed,
    "failed-payment": _failed_payments,
    "lag": _lag,
    "signatures": _signatures,
    "silence": _silence,
    "clock": _clock,
    "retention": _retention,
}
ALARM_KINDS = tuple(_CHECKS)
