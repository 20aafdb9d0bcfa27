"""Switches for what a founder may not want: off means 404, no menu entry, not in the schema, and no address to set."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.urls import resolve

from saas.server.ports import ports_from_base
from saas.tests.processes.switched_off import RUN, SWITCHES

ROOT = Path(__file__).resolve().parents[3]
COMBINATIONS = {
    "all off": {"REGISTRATION": "closed", "TEAMS": "off", "OAUTH": "off", "PARITY": "off"},
    "by invitation, without keys": {"REGISTRATION": "invite", "API_KEYS": "off"},
    "closed, with teams": {"REGISTRATION": "closed", "OAUTH": "off"},
}
# What each combination takes away.
GONE = {
    "all off": {"REGISTRATION", "INVITED", "TEAMS", "API_KEYS", "OAUTH"},
    "by invitation, without keys": {"REGISTRATION", "API_KEYS"},
    "closed, with teams": {"REGISTRATION", "INVITED", "OAUTH"},
}
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("switches")]


@pytest.fixture(
    scope="module",
    params=["all off", *(pytest.param(name, marks=pytest.mark.long) for name in COMBINATIONS if name != "all off")],
)
def combination(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any]:
    """Its name, and what a process with these settings saw."""
    environment = {
        "PATH": os.environ["PATH"],
        "SAAS_ENV": "test",
        "DJANGO_SETTINGS_MODULE": "saas.settings.testing",
        "SAAS_VAR_DIR": str(tmp_path_factory.mktemp("var")),
        **COMBINATIONS[request.param],
    }
    done = subprocess.run(
        [sys.executable, "-c", RUN], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return request.param, json.loads(done.stdout)


def test_what_is_off_answers_404_and_all_else_does_not(combination: tuple[str, Any]) -> None:
    name, seen = combination
    gone = {address for switch in GONE[name] for address in seen["answers"][switch]}

    answers = {address: statuses for rows in seen["answers"].values() for address, statuses in rows.items()}
    missing = {address for address, statuses in answers.items() if set(statuses) == {404}}

    assert gone - missing == set()
    assert {address for address in missing - gone if not _names_nothing(address)} == set()


def _names_nothing(address: str) -> bool:
    """Whether it is about something that does not exist, or a team of somebody else: not found either way."""
    return any(part in address for part in ("/inv_1", "/key_1", "/usr_1", "/google", "{team}"))


def test_what_is_off_is_not_in_the_schema(combination: tuple[str, Any]) -> None:
    name, seen = combination
    paths = {path for document in seen["schema"].values() for path in document["paths"]}

    assert ("/api/auth/register" in paths) is False
    assert ("/api/invitations/register" in paths) is (name == "by invitation, without keys")
    assert ("/api/teams" in paths) is (name != "all off")
    assert any("api-keys" in path for path in paths) is (name == "closed, with teams")
    assert ("api_key" in seen["schema"]["product"]["security"]) is (name == "closed, with teams")
    assert any("oauth" in path or "identities" in path for path in paths) is (name == "by invitation, without keys")
    assert any("/api/admin/teams" in path for path in paths) is (name != "all off")


def test_what_is_off_is_in_no_menu_and_no_module(combination: tuple[str, Any]) -> None:
    name, seen = combination

    assert seen["admin_site"] == {"pages": [200, 200], "teams": name != "all off"}
    assert ("oauth" in seen["modules"]) is (name == "by invitation, without keys")


def test_pages_link_to_nothing_that_is_off(combination: tuple[str, Any]) -> None:
    name, seen = combination

    assert seen["pages"]["register"] is False
    assert seen["pages"]["login/with"] is False
    if name == "all off":
        assert seen["pages"]["teams"] is False


def test_accounts_go_on_working(combination: tuple[str, Any]) -> None:
    _, seen = combination

    assert (seen["me"], seen["export"]) == (200, 200)


def test_a_service_that_is_not_run_needs_no_address_and_the_others_keep_theirs(combination: tuple[str, Any]) -> None:
    name, seen = combination

    assert ("parity" in seen["services"]) is (name != "all off")
    assert (seen["ports"]["product"], seen["ports"]["webhooks"]) == (8000, 8003)


def test_every_address_is_there_while_its_switch_is_on() -> None:
    addresses = [
        (service, path) for services in SWITCHES.values() for service, paths in services.items() for path in paths
    ]

    views = {path: resolve(path.format(team="team_1"), urlconf=f"{service}.urls").func for service, path in addresses}

    assert [path for path, view in views.items() if view.__name__ == "catch_all_view"] == []


def test_ports_stay_where_they_are_without_parity(settings: Any) -> None:
    settings.SERVICE_PORTS = {"product": 8000, "admin_ops": 8001, "webhooks": 8003}

    assert ports_from_base(9000) == {"product": 9000, "admin_ops": 9001, "webhooks": 9003}


def check(**environment: str) -> str:
    """What ``manage.py check`` says with these settings."""
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "SAAS_ENV": "test", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stderr


def test_settings_that_exclude_each_other_are_told(tmp_path: Path) -> None:
    place = {"SAAS_VAR_DIR": str(tmp_path)}

    assert "REGISTRATION=invite needs TEAMS: teams invite." in check(REGISTRATION="invite", TEAMS="off", **place)
    assert "REGISTRATION must be one of open, invite, closed." in check(REGISTRATION="maybe", **place)
    assert "PARITY is off: this service is not run." in check(
        PARITY="off", DJANGO_SETTINGS_MODULE="saas.settings.parity", **place
    )
