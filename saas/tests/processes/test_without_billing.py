"""``BILLING=off``: nothing about money is there, and everything else works, within what is free. (T83)"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.urls import resolve

from saas.tests.processes.without_billing import RUN

ROOT = Path(__file__).resolve().parents[3]
pytestmark = [pytest.mark.xdist_group("without billing")]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    tmp_path = tmp_path_factory.mktemp("var")
    told = {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "saas.settings.testing",
        "SAAS_VAR_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        cwd=ROOT,
        env={**told, "SAAS_ENV": "test", "BILLING": "off"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("service", ["product", "admin_ops"])
def test_without_billing_its_endpoints_and_pages_are_not_found(seen: Any, service: str) -> None:
    answers = seen["statuses"][service]

    assert len(answers) > 15
    assert {address: statuses for address, statuses in answers.items() if set(statuses) != {404}} == {}


@pytest.mark.parametrize("service", ["product", "admin_ops"])
def test_with_billing_they_are_there(seen: Any, service: str) -> None:
    views = {
        address: resolve(address.format(user="usr_1", team="team_1"), urlconf=f"{service}.urls").func.__name__
        for address in seen["statuses"][service]
    }

    assert [address for address, view in views.items() if view == "catch_all_view"] == []


@pytest.mark.parametrize("what", ["documents", "routes"])
def test_without_billing_no_document_metric_or_route_tells_of_it(seen: Any, what: str) -> None:
    assert seen[what] == {"product": [], "admin_ops": [], "parity": [], "webhooks": []}


@pytest.mark.parametrize("what", ["tasks", "schedule", "handlers", "invariants", "apps", "modules"])
def test_without_billing_nothing_of_it_runs(seen: Any, what: str) -> None:
    assert seen[what] == []


def test_without_billing_an_event_is_kept_and_ignored(seen: Any) -> None:
    assert seen["event"] == [202, "ignored"]


def test_without_billing_its_commands_say_so(seen: Any) -> None:
    assert seen["commands"] == ["BILLING is off: nothing is sold here."] * 4


def test_without_billing_accounts_and_teams_work_within_what_is_free(seen: Any) -> None:
    life = seen["life"]

    assert (life["team"], life["export"]) == (201, 200)
    assert life["second"] == [409, "team_limit"]
    assert life["seats"] == [[201, None], [201, None], [409, "seat_limit"]]


def test_without_billing_the_desk_shows_people_and_no_money(seen: Any) -> None:
    admin_site = seen["admin_site"]

    assert (admin_site["pages"], admin_site["calls"], admin_site["health"]) == ([200] * 3, [200] * 3, 200)
    assert (admin_site["links"], admin_site["words"]) == ([], [])
