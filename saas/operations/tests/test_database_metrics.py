"""Metrics of the database's state, while there is no database."""

from collections.abc import Iterator

import pytest
from django.db import InterfaceError, OperationalError, ProgrammingError
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from saas.background_tasks import CircuitBreaker
from saas.operations import metrics
from saas.operations.metrics import DatabaseCollector


class Reader:
    """Reads a metric, or raises ``error``. Counts how often it was asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked = 0

    def __call__(self) -> Iterator[Metric]:
        self.asked += 1
        if self.error:
            raise self.error
        yield GaugeMetricFamily("rows", "Rows.", value=1)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of the breaker's clock, to be set."""
    now = [0.0]
    monkeypatch.setattr(metrics, "_database_breaker", CircuitBreaker(5.0, lambda: now[0]))
    return now


@pytest.mark.parametrize("error", [OperationalError("gone"), InterfaceError("closed")])
def test_a_database_that_is_away_is_waited_for_once(error: Exception, clock: list[float]) -> None:
    first, second = Reader(error), Reader()

    assert [list(DatabaseCollector(one).collect()) for one in (first, second)] == [[], []]
    assert (first.asked, second.asked) == (1, 0)

    clock[0] = 5.0
    assert [metric.name for metric in DatabaseCollector(second).collect()] == ["rows"]


def test_a_query_that_fails_hides_no_other_metric(caplog) -> None:
    first, second = Reader(ProgrammingError("no such table")), Reader()

    assert [len(list(DatabaseCollector(one).collect())) for one in (first, second)] == [0, 1]
    assert caplog.messages == [f"database_metrics_unavailable: {__name__}"]
