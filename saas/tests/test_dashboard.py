"""The dashboard and the alerts ask for metrics that we really tell."""

import json
import re
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

import saas.api.metrics
import saas.api.rate_limits
import saas.workers.task_metrics  # noqa: F401  (each registers its metrics)
from saas.operations.metrics import HeartbeatCollector
from saas.webhook_events.metrics import InboxCollector

DOCS = Path(__file__).resolve().parents[1] / "docs"
DASHBOARD = json.loads((DOCS / "grafana.json").read_text())
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
ALERTS = re.findall(r"^\| `(\w+)` \| `(.+?)` \|", (DOCS / "operations.md").read_text(), re.MULTILINE)
FUNCTIONS = {"sum", "rate", "max", "min", "by", "le", "topk", "histogram_quantile", "increase", "absent", "time"}


def told() -> set[str]:
    """Every name that a sample of ours can have."""
    families = [*REGISTRY.collect(), *InboxCollector().collect(), *HeartbeatCollector().collect()]
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
    return {family.name + suffix for family in families for suffix in suffixes.get(family.type, [""])}


def asked(query: str) -> set[str]:
    """The metrics that a query names: words outside braces and brackets that are no function and no label of a ``by``."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|by \([^)]*\)|\"[^\"]*\"", "", query)
    return {word for word in re.findall(r"[a-z_]{4,}", bare) if word not in FUNCTIONS}


@pytest.mark.parametrize("query", QUERIES)
def test_a_panel_shows_what_is_measured(query: str, db: None) -> None:
    assert asked(query)
    assert asked(query) <= told()


def test_the_alerts_are_read_from_their_table() -> None:
    assert len(ALERTS) >= 8


@pytest.mark.parametrize("query", [pytest.param(query, id=name) for name, query in ALERTS])
def test_every_alert_asks_for_what_is_measured(query: str, db: None) -> None:
    assert asked(query) <= told() | {"up"}


def test_panels_do_not_lie_over_one_another() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]

    assert len(set(places)) == len(places)
