"""How many alarms are open, by kind."""

from collections import Counter
from collections.abc import Iterator

from django.conf import settings
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from saas.billing.alarms.sources import SOURCES
from saas.operations.metrics import register_database_metrics


def count_alarms() -> dict[str, int]:
    counts: Counter[str] = Counter()
    for source in SOURCES if settings.BILLING else ():
        counts[source.kind.value] += source.rows().count()
    return {kind: count for kind, count in counts.items() if count}


@register_database_metrics
def read_alarms() -> Iterator[Metric]:
    if not settings.BILLING:
        return
    family = GaugeMetricFamily("billing_alarms", "Open alarms, by kind.", labels=["kind"])
    counts = count_alarms()
    for kind in {source.kind.value for source in SOURCES}:
        family.add_metric([kind], counts.get(kind, 0))
    yield family
