"""The dashboard and the alerts ask for metrics that we really tell."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client import REGISTRY

import saas.api.metrics
import saas.api.rate_limits
import saas.billing.sync.reconcile
import saas.database.pool_metrics
import saas.mail.metrics
import saas.webhook_events.metrics
import saas.workers.task_metrics  # noqa: F401  (each registers its metrics)

DOCS = Path(__file__).resolve().parents[1] / "docs"
DASHBOARD = json.loads((DOCS / "grafana.json").read_text())
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
RULES = [rule for group in yaml.safe_load((DOCS / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
RULE_TESTS = yaml.safe_load((DOCS / "alerts.test.yml").read_text())["tests"]
FUNCTIONS = {"sum", "rate", "max", "min", "by", "le", "topk", "histogram_quantile", "increase", "and"}


def told() -> set[str]:
    """Every name that a sample of ours can have."""
    families = REGISTRY.collect()
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


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_every_alert_asks_for_what_is_measured(rule: dict[str, str], db: None) -> None:
    assert asked(rule["expr"]) <= told() | {"up"}


def test_the_table_of_alerts_is_that_of_the_rules() -> None:
    table = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", (DOCS / "operations.md").read_text(), re.MULTILINE)

    told = {rule["alert"]: rule["annotations"] for rule in RULES}
    listed = {name: (what, do) for name, what, do in table if name in told}
    assert listed == {name: (texts["summary"], texts["description"]) for name, texts in told.items()}


def test_of_every_alert_it_is_said_when_it_fires_and_when_not() -> None:
    names = [test["name"] for test in RULE_TESTS]

    assert names == [f"{rule['alert']} {what}" for rule in RULES for what in ("fires", "is quiet")]


@pytest.mark.long
def test_every_alert_fires_when_it_should_and_only_then() -> None:
    done = subprocess.run(
        ["promtool", "test", "rules", str(DOCS / "alerts.test.yml")], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_panels_do_not_lie_over_one_another() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]

    assert len(set(places)) == len(places)
