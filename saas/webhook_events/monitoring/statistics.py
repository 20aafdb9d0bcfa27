"""How the inbox is doing, in numbers: for ``/stats``, the metrics of Admin ops, and alerts.

Whatever could grow with the table is counted to ``EXACT_COUNT`` only, along an index.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection
from django.db.models import Count
from django.db.models.functions import Now
from django.utils import timezone

from saas.webhook_events.models import WebhookEvent, WebhookEventQuerySet

COUNT_LIMIT = 10_000
LAG_SAMPLE = 1000  # newest processed events that the lag is taken from
_PERCENTS = (50, 95, 99)
_STATUSES = [str(status.value) for status in WebhookEvent.Status]


@dataclass(frozen=True)
class InboxStatistics:
    """``by_status`` is exact to ``EXACT_COUNT`` each. Lags and rates are None where nothing happened."""

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
    """Everything at once; about a dozen short queries."""
    last_hour = _of_last_hour()
    return InboxStatistics(
        by_status={status: capped_count(WebhookEvent.objects.filter(status=status)) for status in _STATUSES},
        due=capped_count(WebhookEvent.objects.due()),
        oldest_due_seconds=oldest_due_age().total_seconds(),
        last_hour=last_hour,
        failure_rate=_failure_rate(last_hour),
        lag_seconds=_lag_seconds(),
    )


def capped_count(rows: WebhookEventQuerySet) -> int:
    """Exact to ``EXACT_COUNT``, and one more where there are more."""
    return rows.order_by()[: COUNT_LIMIT + 1].count()


def oldest_due_age() -> timedelta:
    """How long the event that waits longest has been due; zero if none is."""
    due = WebhookEvent.objects.due().order_by("next_attempt_at")
    oldest = due.annotate(now=Now()).values_list("now", "next_attempt_at").first()
    return max(oldest[0] - oldest[1], timedelta()) if oldest else timedelta()


def _of_last_hour() -> dict[str, int]:
    recent = WebhookEvent.objects.filter(received_at__gte=timezone.now() - timedelta(hours=1))
    counts = dict(recent.order_by().values_list("status").annotate(Count("id")))
    return {"received": sum(counts.values()), **{status: counts.get(status, 0) for status in _STATUSES}}


def _failure_rate(counts: Mapping[str, int]) -> float | None:
    ended = counts["processed"] + counts["failed"]
    return round(counts["failed"] / ended, 4) if ended else None


def _lag_seconds() -> dict[str, float | None]:
    """From arrival to effect, of the newest events that were never replayed."""
    newest = WebhookEvent.objects.filter(status="processed", replay_count=0).order_by("-id")
    moments = newest.values_list("received_at", "processed_at")[:LAG_SAMPLE]
    lags = sorted((done - arrived).total_seconds() for arrived, done in moments if done)
    return {f"p{percent}": _percentile(lags, percent) for percent in _PERCENTS}


def _percentile(values: Sequence[float], percent: int) -> float | None:
    """The smallest value that ``percent`` of them do not exceed; ``values`` are sorted."""
    return round(values[max(0, -(-len(values) * percent // 100) - 1)], 3) if values else None


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
