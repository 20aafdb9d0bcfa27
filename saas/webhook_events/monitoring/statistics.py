"""Numbers about the inbox: for ``/stats``, the metrics, the dashboard and alerts.

What could grow with the table is counted to ``COUNT_LIMIT`` only, along an index. What workers do is counted in the database
(``WebhookTally``), because a worker's counters end with it; latencies are counted there in a histogram's buckets.
"""

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection
from django.db.models import Count
from django.db.models.functions import Now
from django.utils import timezone
from prometheus_client.metrics_core import HistogramMetricFamily

from saas.webhook_events.models import WebhookEvent, WebhookEventQuerySet

COUNT_LIMIT = 10_000
LAG_SAMPLE = 1000  # newest events that were processed, and never replayed, from which the lag is taken
_PERCENTS = (50, 95, 99)
_STATUSES = [str(status.value) for status in WebhookEvent.Status]
LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)  # seconds
_LIMITS = (*map(str, LATENCY_BUCKETS), "+Inf")
_TOTAL = "ms"
HISTOGRAMS = {
    "lag": ("webhook_event_lag_seconds", "From an event's arrival to its effect; replays do not count."),
    "handler": ("webhook_handler_seconds", "What an attempt took."),
}


@dataclass(frozen=True)
class InboxStatistics:
    """``by_status`` is exact to ``COUNT_LIMIT`` each. Lags and rates are None where nothing happened."""

    by_status: dict[str, int]
    due: int
    oldest_due_seconds: float
    last_hour: dict[str, int]
    failure_rate: float | None
    lag_seconds: dict[str, float | None]

    @property
    def counts_are_exact(self) -> bool:
        return max(self.by_status.values()) <= COUNT_LIMIT


def inbox_statistics() -> InboxStatistics:
    """About a dozen short queries."""
    recent = WebhookEvent.objects.filter(received_at__gte=timezone.now() - timedelta(hours=1))
    counts = dict(recent.order_by().values_list("status").annotate(Count("id")))
    ended = counts.get("processed", 0) + counts.get("failed", 0)
    newest = WebhookEvent.objects.filter(status="processed", replay_count=0).order_by("-id")[:LAG_SAMPLE]
    times = newest.values_list("received_at", "processed_at")
    lags = sorted((processed_at - received_at).total_seconds() for received_at, processed_at in times if processed_at)
    return InboxStatistics(
        by_status={status: capped_count(WebhookEvent.objects.filter(status=status)) for status in _STATUSES},
        due=capped_count(WebhookEvent.objects.due()),
        oldest_due_seconds=oldest_due_age().total_seconds(),
        last_hour={"received": sum(counts.values()), **{status: counts.get(status, 0) for status in _STATUSES}},
        failure_rate=round(counts.get("failed", 0) / ended, 4) if ended else None,
        lag_seconds={f"p{percent}": percentile(lags, percent) for percent in _PERCENTS},
    )


def capped_count(rows: WebhookEventQuerySet) -> int:
    """Exact to ``COUNT_LIMIT``, and one more where there are more."""
    return rows.order_by()[: COUNT_LIMIT + 1].count()


def oldest_due_age() -> timedelta:
    """How long the event that waits longest has been due; zero if none is."""
    due = WebhookEvent.objects.due().order_by("next_attempt_at")
    oldest = due.annotate(now=Now()).values_list("now", "next_attempt_at").first()
    return max(oldest[0] - oldest[1], timedelta()) if oldest else timedelta()


def percentile(values: Sequence[float], percent: int) -> float | None:
    """The smallest of the sorted ``values`` that ``percent`` of them do not exceed."""
    return round(values[max(0, -(-len(values) * percent // 100) - 1)], 3) if values else None


def latency_tallies(name: str, seconds: Sequence[float]) -> Counter[str]:
    """Observations as tallies: one for each bucket, and the sum in milliseconds."""
    buckets = Counter([bisect_left(LATENCY_BUCKETS, one) for one in seconds])
    counts = Counter({f"{name}:{_LIMITS[bucket]}": count for bucket, count in buckets.items()})
    counts[f"{name}:{_TOTAL}"] = max(0, round(sum(seconds) * 1000))
    return counts


def latency_histogram(name: str, tallies: Mapping[str, int]) -> HistogramMetricFamily:
    """What all processes have observed so far."""
    buckets, count = [], 0
    for limit in _LIMITS:
        count += tallies.get(f"{name}:{limit}", 0)
        buckets.append((limit, count))
    title, help = HISTOGRAMS[name]
    return HistogramMetricFamily(title, help, buckets=buckets, sum_value=tallies.get(f"{name}:{_TOTAL}", 0) / 1000)


def add_tallies(counts: Mapping[str, int]) -> None:
    """Add to the counters that all processes share."""
    each = "json_each_text(%s::json)" if connection.vendor == "postgresql" else "json_each(%s)"
    with connection.cursor() as cursor:
        cursor.execute(_ADD.format(each=each), [json.dumps(counts)])


# In one order for all, so that two workers cannot deadlock. SQLite would take ON CONFLICT for a join without the WHERE.
_ADD = """
INSERT INTO webhook_events_webhooktally AS tally (name, value)
SELECT key, CAST(value AS bigint) FROM {each} AS counted WHERE true ORDER BY key
ON CONFLICT (name) DO UPDATE SET value = tally.value + excluded.value
"""
