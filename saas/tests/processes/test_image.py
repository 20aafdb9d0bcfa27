"""The image and the composition, as far as they can be checked without an engine that runs them."""

import re
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from saas import env
from saas.server import serve
from saas.testing.openapi import SERVICES

ROOT = Path(__file__).resolve().parents[3]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
OURS = {*SERVICES, "worker", "beat", "migrate"}
NOT_OURS = {
    "SAAS_ENV",
    "BIND",
    "RUNTIME_ROLE_PASSWORD",
    "PGPASSWORD",
    "PYTHONUNBUFFERED",
    "PYTHONDONTWRITEBYTECODE",
    "PATH",
}


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    return [
        (word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line.strip())
    ]


def test_the_image_is_built_in_stages_from_pinned_hashes() -> None:
    bases = [rest for word, rest in instructions() if word == "FROM"]

    assert len(bases) == 2
    assert not any("latest" in base or ":" not in base for base in bases)
    assert "--require-hashes" in DOCKERFILE


def test_nothing_runs_as_root_and_every_service_has_a_health_check() -> None:
    final = DOCKERFILE.rpartition("\nFROM ")[2]

    assert re.search(r"^USER 10001$", final, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK .*saas\.healthcheck", final, re.MULTILINE)
    assert find_spec("saas.healthcheck") is not None
    assert not re.search(r"(SECRET|PASSWORD|PEPPER|KEY)=", DOCKERFILE)


def test_what_is_copied_is_there_and_every_app_is_copied() -> None:
    copied = {shlex.split(rest)[-2] for word, rest in instructions() if word == "COPY" and "--from" not in rest}

    assert copied >= {"manage.py", "saas", *SERVICES}
    assert all((ROOT / name).exists() for name in copied)


def test_the_composition_has_every_process_once_from_one_image() -> None:
    services = COMPOSE["services"]

    assert set(services) >= OURS
    assert {services[name]["image"] for name in OURS} == {"saas"}
    assert {name: services[name]["command"][-1] for name in SERVICES} == {name: name for name in serve.SERVICES}
    assert services["worker"]["command"][:4] == ["celery", "-A", "saas", "worker"]


def test_the_migration_owns_the_tables() -> None:
    assert "saas_owner" in COMPOSE["services"]["migrate"]["environment"]["DATABASE_URL"]


@pytest.mark.parametrize("name", sorted(OURS - {"migrate"}))
def test_a_service_does_not_own_the_tables_and_waits_for_the_migration(name: str) -> None:
    service = COMPOSE["services"][name]

    assert "saas_runtime" in service["environment"]["DATABASE_URL"]
    assert service["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert service["read_only"] is True


@pytest.mark.parametrize("name", sorted(OURS))
def test_what_is_set_is_what_the_settings_read(name: str) -> None:
    declared = {setting.name for setting in env.declared_settings()} | NOT_OURS

    assert set(COMPOSE["services"][name]["environment"]) <= declared


def test_a_password_of_the_database_may_hold_any_character() -> None:
    """Compose cannot percent-encode it, as an address would need it."""
    told = {name: COMPOSE["services"][name]["environment"] for name in ("migrate", "product")}

    assert {name: variables["DATABASE_URL"] for name, variables in told.items()} == {
        "migrate": "postgres://saas_owner@postgres/saas", "product": "postgres://saas_runtime@postgres/saas",
    }  # fmt: skip
    assert {name: variables["PGPASSWORD"] for name, variables in told.items()} == {
        "migrate": "${OWNER_PASSWORD}", "product": "${RUNTIME_ROLE_PASSWORD:?}",
    }  # fmt: skip


def test_what_may_lose_anything_and_what_may_not_are_apart() -> None:
    shared = COMPOSE["services"]["product"]["environment"]

    assert "//cache:" in shared["REDIS_URL"]
    assert "//queue:" in shared["LIMITS_URL"]
    assert "noeviction" in COMPOSE["services"]["queue"]["command"]


def test_the_proxy_is_of_one_version_and_has_the_only_open_ports() -> None:
    """What its file means: ``saas/tests/http/test_caddyfile.py``."""
    services = COMPOSE["services"]

    assert re.fullmatch(r"caddy:\d+\.\d+\.\d+", services["proxy"]["image"])
    assert (ROOT / COMPOSE["configs"]["caddyfile"]["file"]).is_file()
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]
