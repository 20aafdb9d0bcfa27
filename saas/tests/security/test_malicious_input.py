"""Malicious input never crashes an operation, is refused by a problem document, and a refusal writes nothing.

The operations come from the services' own schemas, so that a new endpoint is tested as soon as it is documented.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.db import connection, transaction
from django.utils import timezone

from saas.testing.clients import ServiceClient
from saas.testing.malicious_input import MaliciousRequest, malformed_bodies, malicious_requests
from saas.testing.openapi import SERVICES, Operation, operations
from saas.tests.security import tenant_scenario

ACTORS = {"product": "owner", "parity": "owner", "admin_ops": "staff:admin", "webhooks": "staff:admin"}
MODULES = {"product": "auth-core", "admin_ops": "auth-core", "parity": "auth-core", "webhooks": "event-log"}
# What these tables are for is to note refusals.
NOTES_REFUSALS = {
    "operations_counter",
    "accounts_failedattempts",
    "audit_auditevent",
    "audit_auditpersonaldata",
    "webhook_events_webhookdelivery",
}

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module", autouse=True)
def _no_time_passes(scenario: tenant_scenario.Scenario) -> Iterator[None]:
    """Otherwise "last seen" is written, sometimes, and has nothing to do with these tests."""
    with time_machine.travel(timezone.now(), tick=False):
        yield


def _places(operation: Operation, scenario: tenant_scenario.Scenario) -> dict[str, str]:
    """Good values for the names in the path, so that what stands behind them is reached."""
    return {**scenario.ids, "name": MODULES[operation.service]}


# Parity serves Product's own views: what is its own is how it reads and writes names, and three operations show that.
PARITYS_OWN = {"POST /auth/register", "POST /auth/refresh", "PATCH /users/profile"}
EVERY = [
    operation
    for service in SERVICES
    for operation in operations(service)
    if service != "parity" or f"{operation.method} {operation.path}" in PARITYS_OWN
]
PRIVATE_WITH_BODY = [operation for operation in EVERY if operation.fields and not operation.is_public]


@pytest.fixture(scope="module")
def before(scenario: tenant_scenario.Scenario) -> dict[str, list[Any]]:
    """The rows that every attempt finds, because the one before it was undone."""
    return _rows()


@pytest.mark.parametrize("operation", EVERY, ids=str)
def test_malicious_input_never_crashes_and_a_refusal_writes_nothing(
    operation: Operation, scenario: tenant_scenario.Scenario, before: dict[str, list[Any]]
) -> None:
    client = ServiceClient(operation.service)
    token = "" if operation.is_public else scenario.tokens[ACTORS[operation.service]]

    faults = [
        _fault(client, operation, attempt, token, before)
        for attempt in malicious_requests(operation, _places(operation, scenario))
    ]

    assert [fault for fault in faults if fault] == []


@pytest.mark.parametrize("operation", PRIVATE_WITH_BODY, ids=str)
def test_an_anonymous_malicious_body_is_not_even_read(
    operation: Operation, scenario: tenant_scenario.Scenario, settings
) -> None:
    settings.WEBHOOKS_OPEN_OPERATOR_API = False  # as in production
    client = ServiceClient(operation.service)
    url = operation.url_for(_places(operation, scenario))

    answers = {attempt.label: _send(client, operation, attempt, "") for attempt in malformed_bodies(operation, url)}

    assert {label: answer.status_code for label, answer in answers.items()} == dict.fromkeys(answers, 401)


def _send(client: ServiceClient, operation: Operation, attempt: MaliciousRequest, token: str) -> Any:
    client.cookies.clear()
    return client.send(
        operation.method,
        attempt.url,
        raw=attempt.raw,
        content_type=attempt.content_type,
        headers=attempt.headers,
        token=token,
    )


def _fault(
    client: ServiceClient, operation: Operation, attempt: MaliciousRequest, token: str, before: Any
) -> str | None:
    """What is wrong with the answer, if anything is. Whatever the attempt did is undone."""
    with transaction.atomic():
        with _writes() as writes:
            answer = _send(client, operation, attempt, token)
        wrong = _wrong(answer, attempt)
        if answer.status_code >= 400 and writes and _rows() != before:
            wrong = f"refused, but wrote: {writes}"
        transaction.set_rollback(True)
    return f"{attempt.label} → {wrong}" if wrong else None


def _wrong(answer: Any, attempt: MaliciousRequest) -> str | None:
    status = answer.status_code
    if status < 400:
        return f"{status}, though it should be refused" if attempt.must_be_refused else None
    if answer.headers["Content-Type"] != "application/problem+json":
        return f"{status} as {answer.headers['Content-Type']}"
    if status >= 500 or answer.json()["status"] != status:
        return f"{status}: {answer.json()}"
    if status == 422 and (
        silent := attempt.invalid_fields - {name.partition(".")[0] for name in answer.json()["errors"]}
    ):
        return f"422, but nothing about {sorted(silent)}"
    return None


@contextmanager
def _writes() -> Iterator[list[str]]:
    """The statements of the block that write, but for those that only count refusals."""
    found: list[str] = []

    def note(execute, sql, params, many, context):
        writes = sql.startswith(("INSERT", "UPDATE", "DELETE"))
        if writes and not any(f'"{table}"' in sql or f" {table} " in sql for table in NOTES_REFUSALS):
            found.append(sql[:80])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield found


def _rows() -> dict[str, list[Any]]:
    """Every row of every table."""
    return {
        model._meta.label: list(model._base_manager.order_by("pk").values_list())
        for model in apps.get_models()
        if model._meta.managed and model._meta.db_table not in NOTES_REFUSALS
    }
