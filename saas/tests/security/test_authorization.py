"""Who may call what: every operation of every service, as every actor, against a table.

The tables stand in ``authorization/<service>.txt``: a row for each operation, a column for each actor, and the status
of a call on the first team's objects (``tenant_scenario.py``) without a body. Permissions are checked before the body is
read: 400 means that the call was allowed.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import transaction

from saas.testing.clients import ServiceClient
from saas.testing.openapi import SERVICES, openapi_document, views_by_path
from saas.tests.security import tenant_scenario

FOLDER = Path(__file__).parent / "authorization"

# Pages and documents outside the API, without permissions.
NOT_IN_THE_SCHEMA = {
    "product": {
        "/metrics",
        "/openapi.json",
        "/docs",
        "/redoc",
        "/invitations/accept",
        "/verify",
        "/reset",
        "/forgot",
        "/keep",
        "/dev/mail",
        "/dev/mail/{mail_id}",
        "/checkout/{session_id}",
        "/billing",
        "/billing/portal/{session_id}",
        "/billing/success",
        "/billing/cancel",
    },
    "admin_ops": {"/admin", "/metrics", "/openapi.json", "/docs", "/redoc"},
    "parity": {"/metrics", "/openapi.json", "/docs", "/redoc"},
    "webhooks": {"/metrics", "/openapi.json", "/docs", "/redoc"},
}

MODULES = {"product": "auth-core", "admin_ops": "auth-core", "parity": "auth-core", "webhooks": "event-log"}

pytestmark = pytest.mark.django_db

Row = tuple[str, str, str, dict[str, int]]  # service, method, path, status by actor


def table(service: str) -> list[Row]:
    """The rows of a service's table."""
    lines = [line.split() for line in (FOLDER / f"{service}.txt").read_text(encoding="utf-8").splitlines()]
    header, *rows = [line for line in lines if line and line[0] != "#"]
    return [
        (service, method, path, dict(zip(header[2:], map(int, cells), strict=True))) for method, path, *cells in rows
    ]


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_has_a_row(service: str) -> None:
    assert {f"{method} {path}" for _, method, path, _ in table(service)} == set(_operations(service))


def _operations(service: str) -> Iterator[str]:
    for path, methods in openapi_document(service)["paths"].items():
        yield from (f"{method.upper()} {path}" for method in methods)


@pytest.mark.parametrize("service", SERVICES)
def test_every_path_is_in_the_schema(service: str) -> None:
    assert set(views_by_path(service)) == set(openapi_document(service)["paths"]) | NOT_IN_THE_SCHEMA[service]


@pytest.mark.parametrize(
    ("service", "method", "path", "expected"),
    [pytest.param(*row, id=" ".join(row[:3])) for service in SERVICES for row in table(service)],
)
def test_every_actor_gets_the_status_of_the_table(
    service: str, method: str, path: str, expected: dict[str, int], scenario: tenant_scenario.Scenario, settings
) -> None:
    settings.WEBHOOKS_ALLOW_UNSIGNED = settings.WEBHOOKS_OPEN_OPERATOR_API = False  # as in production

    observed = {actor: _status(service, method, path, scenario, actor) for actor in expected}

    assert observed == expected


def _status(service: str, method: str, path: str, scenario: tenant_scenario.Scenario, actor: str) -> int:
    url = path.format_map({**scenario.ids, "name": MODULES[service]})
    with transaction.atomic():
        answer = ServiceClient(service).send(method, url, token=scenario.tokens[actor])
        transaction.set_rollback(True)  # the next actor finds all as it was
    return int(answer.status_code)
