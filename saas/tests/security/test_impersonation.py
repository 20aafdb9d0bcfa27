"""Every operation that a customer may use, called by staff who impersonate the customer. (T49, T50)"""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from saas.audit.models import AuditEvent
from saas.testing.clients import ServiceClient
from saas.testing.openapi import Operation, operations
from saas.tests.security import tenant_scenario

pytestmark = [pytest.mark.django_db, pytest.mark.guard]

SAFE = {"GET", "HEAD", "OPTIONS"}
AUDIT = {"audit_auditevent", "audit_auditpersonaldata"}  # an event, and its address beside it
PRIVATE = [one for service in ("product", "parity") for one in operations(service) if not one.is_public]
WRITES = [one for one in PRIVATE if one.method not in SAFE]
READS = [one for one in PRIVATE if one.method in SAFE]

# All that a token which may write can change. Whatever is added to the product is closed until it is opened here, too.
OPEN_TO_WRITING = {
    "product PUT /api/users/profile",
    "product PATCH /api/users/profile",
    "parity PUT /users/profile",
    "parity PATCH /users/profile",
}
CLOSED_TO_READING = {"product GET /api/users/export", "parity GET /users/export"}


def sent(operation: Operation, scenario: tenant_scenario.Scenario, token: str):
    """The answer, the tables that were written to, and the lines that the trail got."""
    before = AuditEvent.objects.count()
    with CaptureQueriesContext(
        connection,
    ) as captured:
        answer = ServiceClient(operation.service).send(
            operation.method, operation.url_for(scenario.ids), {} if operation.has_body else None, token=token
        )
    written = {
        found.group(1)
        for query in captured
        if (found := re.match(r'(?:INSERT INTO|UPDATE|DELETE FROM) "(\w+)"', query["sql"]))
    }
    lines = AuditEvent.objects.order_by("-pk")[: AuditEvent.objects.count() - before]
    return answer, written - {"operations_counter"}, list(lines)  # rate limits count there, where there is no Redis


def test_the_schema_lists_the_operations_under_test() -> None:
    assert len(WRITES) > 50
    assert {str(one) for one in PRIVATE} >= OPEN_TO_WRITING | CLOSED_TO_READING


@pytest.mark.parametrize("operation", WRITES, ids=str)
def test_a_token_that_reads_changes_nothing_anywhere(operation: Operation, scenario: tenant_scenario.Scenario) -> None:
    answer, written, lines = sent(operation, scenario, scenario.tokens["as-owner:read"])

    assert (answer.status_code, answer.json()["code"]) == (403, "not_while_impersonating")
    assert written == AUDIT
    assert [line.action for line in lines] == ["impersonation.request"]


@pytest.mark.parametrize("operation", [one for one in WRITES if str(one) not in OPEN_TO_WRITING], ids=str)
def test_a_token_that_writes_changes_nothing_that_is_the_customers_alone(
    operation: Operation, scenario: tenant_scenario.Scenario
) -> None:
    answer, written, lines = sent(operation, scenario, scenario.tokens["as-owner:write"])

    assert (answer.status_code, answer.json()["code"]) == (403, "not_while_impersonating")
    assert written == AUDIT
    assert [line.action for line in lines] == ["impersonation.request"]


@pytest.mark.parametrize("operation", READS, ids=str)
def test_every_impersonated_read_is_one_complete_audit_event(
    operation: Operation, scenario: tenant_scenario.Scenario
) -> None:
    answer, _, lines = sent(operation, scenario, scenario.tokens["as-owner:read"])

    assert (answer.status_code == 403) == (str(operation) in CLOSED_TO_READING)
    (line,) = [line for line in lines if line.action == "impersonation.request"]
    assert (line.act_as, line.reason) == (scenario.owner.user.pk, "ticket 1")
    assert line.actor not in ("", scenario.owner.user.pk)
    assert (line.data["method"], line.data["status"]) == (operation.method, answer.status_code)
    assert line.request_id == answer["X-Request-ID"]
