"""A cookie alone writes nowhere; with its CSRF token it does, and a bearer token needs none (T19)."""

from typing import Any

import pytest
from django.conf import settings
from django.db import transaction

from saas.testing.clients import ServiceClient
from saas.testing.factories import user_factories
from saas.testing.factories.user_factories import Person
from saas.testing.openapi import Operation, operations
from saas.tests.security import tenant_scenario

pytestmark = pytest.mark.django_db

SERVICES = ("product", "parity", "admin_ops")  # a cookie opens the operator API of Webhooks, too: its two writes below
WRITES = [
    operation
    for service in (*SERVICES, "webhooks")
    for operation in operations(service)
    if operation.method not in {"GET", "HEAD", "OPTIONS"} and not operation.is_public
]


@pytest.fixture(scope="module")
def staff(scenario: tenant_scenario.Scenario) -> Person:
    return user_factories.create_staff_member()


def by_cookie(operation: Operation, scenario: tenant_scenario.Scenario, staff: Person) -> ServiceClient:
    client = ServiceClient(operation.service)
    if operation.service in {"admin_ops", "webhooks"}:
        client.cookies["saas_admin_session"] = staff.cookie_key
    else:
        client.cookies[settings.CUSTOMER_SESSION_COOKIE_NAME] = scenario.owner.cookie_key
    return client


def csrf_token(client: ServiceClient) -> str:
    paths = {"product": "/api/auth/csrf", "parity": "/auth/csrf", "admin_ops": "/api/admin/auth/csrf"}
    body = client.get(paths[client.service]).json()
    return str(body.get("csrf_token") or body["csrfToken"])


def send(client: ServiceClient, operation: Operation, scenario: tenant_scenario.Scenario, **options: Any) -> Any:
    """What was done is undone."""
    with transaction.atomic():
        answer = client.send(operation.method, operation.url_for(scenario.ids), **options)
        transaction.set_rollback(True)
    return answer


@pytest.mark.parametrize("operation", WRITES, ids=str)
def test_a_cookie_alone_writes_nowhere(
    operation: Operation, scenario: tenant_scenario.Scenario, staff: Person, settings
) -> None:
    settings.WEBHOOKS_OPEN_OPERATOR_API = False

    answer = send(by_cookie(operation, scenario, staff), operation, scenario)

    assert (answer.status_code, answer.json()["code"]) == (403, "csrf_failed")


@pytest.mark.parametrize("operation", [one for one in WRITES if one.service in SERVICES], ids=str)
def test_with_its_token_it_does(operation: Operation, scenario: tenant_scenario.Scenario, staff: Person) -> None:
    client = by_cookie(operation, scenario, staff)

    answer = send(client, operation, scenario, headers={"X-CSRFToken": csrf_token(client)})

    assert answer.status_code not in {401, 500}
    assert b"csrf_failed" not in answer.content


@pytest.mark.parametrize("operation", WRITES, ids=str)
def test_a_bearer_token_needs_none(operation: Operation, scenario: tenant_scenario.Scenario, staff: Person) -> None:
    is_staffs = operation.service in {"admin_ops", "webhooks"}

    answer = send(
        ServiceClient(operation.service), operation, scenario, token=staff.token if is_staffs else scenario.owner.token
    )

    assert answer.status_code not in {401, 500}
    assert b"csrf_failed" not in answer.content


@pytest.mark.parametrize(("referer", "status"), [("", 204), ("https://evil.example/", 403)])
def test_over_https_a_program_needs_no_referer(product: ServiceClient, db, referer: str, status: int) -> None:
    """It sends neither ``Origin`` nor ``Referer``; of browsers the older ones send one of the two."""
    product.cookies["saas_session"] = user_factories.create_customer().cookie_key
    headers = {"X-CSRFToken": csrf_token(product), **({"Referer": referer} if referer else {})}

    answer = product.generic("POST", "/api/auth/logout", b"", secure=True, headers=headers)

    assert answer.status_code == status
