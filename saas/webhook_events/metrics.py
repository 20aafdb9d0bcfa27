"""What ``/metrics`` tells of the inbox.

Deliveries are counted in the process that takes them. What workers do is counted in the database, because nobody asks a
worker for its metrics; it is read when somebody asks.
"""

import logging
from collections.abc import Iterator

from django.db import DatabaseError
from django.utils import timezone
from prometheus_client import REGISTRY, Counter
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from saas.operations.models import Heartbeat
from saas.webhook_events import retention
from saas.webhook_events.models import WebhookAlarm, WebhookEvent, WebhookTally
from saas.webhook_events.monitoring import alarms, latency, statistics

logger = logging.getLogger(__name__)

RECEIVED = Counter("webhook_events_received", "Events stored for the first time.", ["source"])
DUPLICATES = Counter("webhook_events_duplicate", "Deliveries of an event that was there already.")
REJECTED = Counter("webhook_deliveries_rejected", "Deliveries refused.", ["reason"])

_EVENT_TALLIES = {
    "processed": "Attempts that had their effect.",
    "events_failed": "Events that failed for good.",
    "events_retried": "Failures after which the event is tried again.",
}


class InboxCollector:
    """Numbers from the database. None while it is away: the process's own metrics still come."""

    def describe(self) -> list[Metric]:
        return []  # without it the registry would ask the database when this module is imported

    def collect(self) -> Iterator[Metric]:
        try:
            yield from [*_tallies(), *_gauges(), *_alarms()]
        except DatabaseError:
            logger.warning("inbox_metrics_unavailable", exc_info=True)


def _tallies() -> Iterator[Metric]:
    counted = dict(WebhookTally.objects.values_list("name", "value"))
    for name, help in _EVENT_TALLIES.items():
        title = f"webhook_events_{name.removeprefix('events_')}"
        yield CounterMetricFamily(title, help, value=counted.pop(name, 0))
    yield from (latency.histogram(name, counted) for name in latency.HISTOGRAMS)
    attempts = CounterMetricFamily("webhook_attempts", "Attempts, by what came of them.", labels=["outcome"])
    for outcome, value in counted.items():
        if not latency.is_histogram_tally(outcome):
            attempts.add_metric([outcome], value)
    yield attempts


def _gauges() -> Iterator[Metric]:
    due = statistics.capped_count(WebhookEvent.objects.due())
    yield GaugeMetricFamily("webhook_events_due", "Events that wait and could be acted on now.", value=due)
    oldest = statistics.oldest_due_age().total_seconds()
    yield GaugeMetricFamily(
        "webhook_events_oldest_due_seconds", "How long the oldest of them has waited.", value=oldest
    )
    yield GaugeMetricFamily(
        "webhook_retention_lag_seconds",
        "How long the oldest row past its time has been so.",
        value=retention.retention_lag().total_seconds(),
    )
    if age := Heartbeat.objects.age("worker", timezone.now()):
        yield GaugeMetricFamily(
            "webhook_sweep_heartbeat_age_seconds", "Since the sweep was last seen.", value=age.total_seconds()
        )


def _alarms() -> Iterator[Metric]:
    """Whoever asks for metrics is there when nobody sweeps: the alarm that only others can raise is raised here."""
    alarms.check_sweep_alarm()
    family = GaugeMetricFamily("webhook_alarms", "1 while something is wrong.", labels=["kind"])
    raised = set(WebhookAlarm.objects.values_list("kind", flat=True))
    for kind in alarms.ALARM_KINDS:
        family.add_metric([kind], int(kind in raised))
    yield family


REGISTRY.register(InboxCollector())
