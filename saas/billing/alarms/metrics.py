"""How many alarms are open, by kind, and how old the oldest comparison with the provider is."""

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


@register_database_metrics
def read_comparisons() -> Iterator[Metric]:
    if not settings.BILLING:
        return
    from saas.billing.sync.reconcile import longest_uncompared  # whose counter would be a metric without billing, too

    family = GaugeMetricFamily("billing_comparison_age_seconds", "Since a customer was last compared: the oldest.")
    if age := longest_uncompared():
        family.add_metric([], age.total_seconds())
    yield family
