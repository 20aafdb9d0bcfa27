"""Prometheus metrics of the database's state: each process reads the same rows, so any one of them may serve them.

An app registers a collector of its own with ``register_database_metrics``.
"""

import logging
from collections.abc import Callable, Iterator

from django.db import Error
from django.db.models.functions import Now
from django.utils import timezone
from prometheus_client import REGISTRY
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from saas.background_tasks import CircuitBreaker
from saas.database.postgres import is_database_unavailable
from saas.operations.models import Heartbeat, RetentionProgress, ScheduledTask

logger = logging.getLogger(__name__)

# Each collector would wait for a database that is away, and all of them for longer than Prometheus does.
_database_breaker = CircuitBreaker(seconds=5.0)


class DatabaseCollector(Collector):
    """Collects what ``read`` yields; nothing while the database is unavailable."""

    def __init__(self, read: Callable[[], Iterator[Metric]]) -> None:
        self._read = read

    def describe(self) -> list[Metric]:
        return []  # otherwise the registry queries the database when a module is imported

    def collect(self) -> Iterator[Metric]:
        if _database_breaker.is_open:
            return
        try:
            yield from list(self._read())
        except Error as error:
            if is_database_unavailable(error):
                _database_breaker.trip()
            logger.warning("database_metrics_unavailable: %s", self._read.__module__, exc_info=True)


_collectors: list[DatabaseCollector] = []


def register_database_metrics(read: Callable[[], Iterator[Metric]]) -> Callable[[], Iterator[Metric]]:
    """Register a function that yields metrics from the database at each scrape."""
    collector = DatabaseCollector(read)
    _collectors.append(collector)
    REGISTRY.register(collector)
    return read


def database_collectors() -> list[DatabaseCollector]:
    return list(_collectors)


@register_database_metrics
def read_heartbeats() -> Iterator[Metric]:
    ages = GaugeMetricFamily("heartbeat_age_seconds", "Since the last heartbeat.", labels=["process"])
    for beat in Heartbeat.objects.all():
        ages.add_metric([beat.name], (timezone.now() - beat.at).total_seconds())
    yield ages


@register_database_metrics
def read_scheduled_tasks() -> Iterator[Metric]:
    """Slots and ages by the database's clock."""
    ages = GaugeMetricFamily("scheduled_task_age_seconds", "Since beat last sent a task.", labels=["task"])
    for task in ScheduledTask.objects.annotate(now=Now()):
        ages.add_metric([task.name], (task.now - task.slot).total_seconds())
    yield ages


@register_database_metrics
def read_retention() -> Iterator[Metric]:
    lags = GaugeMetricFamily(
        "retention_lag_seconds", "For how long rows may have been past their time.", labels=["table"]
    )
    deleted = CounterMetricFamily("retention_deleted_rows", "Rows deleted past their time.", labels=["table"])
    rows = RetentionProgress.objects.all()
    for table, lag in rows.lags(timezone.now()).items():
        lags.add_metric([table], lag.total_seconds())
    for row in rows:
        deleted.add_metric([row.table], row.deleted)
    yield lags
    yield deleted
