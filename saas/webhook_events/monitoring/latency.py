"""How long things took, in buckets that all processes add to: what a Prometheus histogram is made of.

Counted by whoever works, in the tallies (``figures.tally``), because nobody asks a worker for its metrics.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence

from prometheus_client.metrics_core import HistogramMetricFamily

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
_TOTAL = "ms"
_LIMITS = (*map(str, BUCKETS), "+Inf")
HISTOGRAMS = {
    "lag": ("webhook_event_lag_seconds", "From an event's arrival to its effect; replays do not count."),
    "handler": ("webhook_handler_seconds", "What an attempt took."),
}


def observation_tallies(name: str, seconds: Sequence[float]) -> Counter[str]:
    """The tallies of these observations."""
    buckets = Counter([bisect_left(BUCKETS, one) for one in seconds])
    counts = Counter({f"{name}:{_LIMITS[bucket]}": count for bucket, count in buckets.items()})
    counts[f"{name}:{_TOTAL}"] = max(0, round(sum(seconds) * 1000))
    return counts


def histogram(name: str, tallies: Mapping[str, int]) -> HistogramMetricFamily:
    """What all processes have observed so far."""
    buckets, count = [], 0
    for limit in _LIMITS:
        count += tallies.get(f"{name}:{limit}", 0)
        buckets.append((limit, count))
    title, help = HISTOGRAMS[name]
    return HistogramMetricFamily(title, help, buckets=buckets, sum_value=tallies.get(f"{name}:{_TOTAL}", 0) / 1000)


def is_histogram_tally(tally: str) -> bool:
    """Whether a tally belongs to a histogram."""
    return tally.partition(":")[0] in HISTOGRAMS
