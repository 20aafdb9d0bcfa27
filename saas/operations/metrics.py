"""Prometheus metrics of processes that answer no requests."""

import logging
from collections.abc import Iterator

from django.db import DatabaseError
from django.utils import timezone
from prometheus_client import REGISTRY
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from saas.operations.models import Heartbeat

logger = logging.getLogger(__name__)


class HeartbeatCollector:
    """Collects the age of each heartbeat; nothing while the database is unavailable."""

    def describe(self) -> list[Metric]:
        return []  # else the registry would query the database when this module is imported

    def collect(self) -> Iterator[Metric]:
        ages = GaugeMetricFamily("heartbeat_age_seconds", "Since the last sign of life.", labels=["process"])
        try:
            for beat in Heartbeat.objects.all():
                ages.add_metric([beat.name], (timezone.now() - beat.at).total_seconds())
        except DatabaseError:
            logger.warning("heartbeat_metrics_unavailable", exc_info=True)
        yield ages


REGISTRY.register(HeartbeatCollector())
