"""Who may call what: every operation of every service, as every actor, against a table.

The tables stand in ``authorization/<service>.txt``, those of added modules in ``<service>/<module>/tests/authorization.txt``:
a row for each operation, a column for each actor, and the status of a call on the first team's objects
(``tenant_scenario.py``) without a body. Permissions are checked before the body is read: 400 means that the call was allowed.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import transaction

from product.pages.billing.urls import urlpatterns as billing_page_urls
from product.pages.urls import urlpatterns as page_urls
from saas.testing.clients import ServiceClient
from saas.testing.openapi import SERVICES, openapi_document, views_by_path
from saas.tests.security import tenant_scenario

FOLDER = Path(__file__).parent / "authorization"

COMMON_PAGES = {"/metrics", "/openapi.json", "/docs", "/redoc", "/", "/brand.css", "/brand.svg"}
# Pages and documents outside the API. Who may see the front pages is tested in product/tests/pages/.
NOT_IN_THE_SCHEMA = {
    "product": COMMON_PAGES
    | {"/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(page.pattern)) for page in [*page_urls, *billing_page_urls]}
    | {
        "/dev/mail",
        "/dev/mail/{mail_id}",
        "/checkout/{session_id}",
        "/billing/invoices/{invoice_id}",
        "/billing/portal/{session_id}",
        "/billing/success",
        "/billing/cancel",
    },
    "admin_ops": COMMON_PAGES | {"/admin"},
    "parity": COMMON_PAGES,
    "webhooks": COMMON_PAGES,
}

MODULES = {"product": "auth-core", "admin_ops": "auth-core", "parity": "auth-core", "webhooks": "event-log"}

pytestmark = [pytest.mark.django_db, pytest.mark.guard]

Row = tuple[str, str, str, dict[str, int]]  # service, method, path, status by actor


def table(service: str) -> list[Row]:
    """The rows of a service's table, and of those that added modules have."""
    added = [FOLDER.parents[3] / service / module / "tests" / "authorization.txt" for module in settings.MODULES]
    return [
        row for file in (FOLDER / f"{service}.txt", *added) if file.exists() for row in _rows_of_file(service, file)
    ]


def _rows_of_file(service: str, file: Path) -> list[Row]:
    lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines()]
    header, *rows = [line for line in lines if line and line[0] != "#"]
    return [
        (service, method, path, dict(zip(header[2:], map(int, cells), strict=True))) for method, path, *cells in rows
    ]


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_has_a_row(service: str) -> None:
    rows, operations = {f"{method} {path}" for _, method, path, _ in table(service)}, set(_operations(service))

    assert rows == operations, "\n".join(
        [
            *(f"`{one}` has no row in the authorization table of {service}: add it." for one in operations - rows),
            *(f"`{one}` is in the authorization table of {service} and no operation." for one in rows - operations),
        ]
    )


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

    assert observed == expected, "\n".join(
        f"`{method} {path}` answers {actor} with {status}; the authorization table says {expected[actor]}."
        for actor, status in observed.items()
        if status != expected[actor]
    )


def _status(service: str, method: str, path: str, scenario: tenant_scenario.Scenario, actor: str) -> int:
    url = path.format_map({**scenario.ids, "name": MODULES[service]})
    with transaction.atomic():
        answer = ServiceClient(service).send(method, url, token=scenario.tokens[actor])
        transaction.set_rollback(True)  # the next actor finds all as it was
    return int(answer.status_code)
