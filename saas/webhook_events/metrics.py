"""Prometheus metrics of the inbox.

Deliveries are counted in the process that receives them. What workers do is counted in the database, because a worker's
metrics port is optional and its counters are lost when it ends, and is read at each scrape.
"""

from collections.abc import Iterator

from django.utils import timezone
from prometheus_client import Counter
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from saas.operations.metrics import register_database_metrics
from saas.operations.models import Heartbeat
from saas.webhook_events import retention
from saas.webhook_events.models import ReplayBatch, WebhookAlert, WebhookEvent, WebhookTally
from saas.webhook_events.monitoring import alerts, statistics

RECEIVED = Counter("webhook_events_received", "Events stored for the first time.", ["source"])
DUPLICATES = Counter("webhook_events_duplicate", "Deliveries of an event that was there already.")
REJECTED = Counter("webhook_deliveries_rejected", "Deliveries refused.", ["reason"])

_EVENT_TALLIES = {
    "processed": "Attempts that had their effect.",
    "events_failed": "Events that failed permanently.",
    "events_retried": "Failures after which the event is tried again.",
}


@register_database_metrics
def read_tallies() -> Iterator[Metric]:
    counted = dict(WebhookTally.objects.values_list("name", "value"))
    for name, help in _EVENT_TALLIES.items():
        title = f"webhook_events_{name.removeprefix('events_')}"
        yield CounterMetricFamily(title, help, value=counted.pop(name, 0))
    yield from (statistics.latency_histogram(name, counted) for name in statistics.HISTOGRAMS)
    attempts = CounterMetricFamily("webhook_attempts", "Attempts, by what came of them.", labels=["outcome"])
    for outcome, value in counted.items():
        if outcome.partition(":")[0] not in statistics.HISTOGRAMS:
            attempts.add_metric([outcome], value)
    yield attempts


@register_database_metrics
def read_replays() -> Iterator[Metric]:
    running = ReplayBatch.objects.filter(state=ReplayBatch.State.RUNNING).first()
    yield GaugeMetricFamily("webhook_replay_running", "1 while a bulk replay runs.", value=int(running is not None))
    age = (timezone.now() - running.created_at).total_seconds() if running else 0.0
    yield GaugeMetricFamily("webhook_replay_age_seconds", "How long it has run.", value=age)
    replayed = running.replayed if running else 0
    yield GaugeMetricFamily("webhook_replay_events", "How many events it has replayed.", value=replayed)


@register_database_metrics
def read_inbox() -> Iterator[Metric]:
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
    alerts.check_alert("sweep")  # the sweep checks the other alerts, but not its own absence
    open_alerts = GaugeMetricFamily("webhook_alarms", "1 while something is wrong.", labels=["kind"])
    raised = set(WebhookAlert.objects.values_list("kind", flat=True))
    for kind in alerts.ALERT_KINDS:
        open_alerts.add_metric([kind], int(kind in raised))
    yield open_alerts
