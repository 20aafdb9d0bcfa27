"""Nothing of one team is another's: every operation of Product, with the first team's ids, as the owner of the other."""

from typing import Any

import pytest
from django.apps import apps

from saas.operations.app_discovery import added_module_files
from saas.testing.clients import ServiceClient
from saas.testing.openapi import Operation, operations
from saas.tests.security import tenant_scenario

pytestmark = [pytest.mark.django_db, pytest.mark.guard]

TENANTS_MODELS = (
    "teams.Team",
    "teams.Membership",
    "teams.Invitation",
    "teams.ApiKey",
    "billing.Customer",
    "billing.Checkout",
    "billing.Subscription",
    "billing.PaymentMethod",
    "billing.Invoice",
    "billing.LocalObject",
    *(model for file in added_module_files("saas", "tests.tenants") for model in file.TENANTS_MODELS),
)
OF_NO_TENANT = {"name", "provider"}  # path parameters that belong to no tenant
TENANTS_IDS = {"team_id", "user_id", "invitation_id", "key_id", "checkout_id", "payment_method_id", "invoice_id"}
TENANTS_IDS |= {name for file in added_module_files("saas", "tests.tenants") for name in file.TENANTS_IDS}
# Bodies that are valid but for the id in them, for the operations that take an id in the body.
BODIES_WITH_IDS: dict[str, dict[str, Any]] = {
    "team_transfer": {"user_id": "{user_id}"},
    "checkout_start": {"team_id": "{team_id}", "plan_id": "starter"},
    "subscription_change": {"team_id": "{team_id}", "plan_id": "starter"},
    "subscription_change_preview": {"team_id": "{team_id}", "plan_id": "starter"},
    "subscription_cancel": {"team_id": "{team_id}"},
    "payment_method_add": {
        "team_id": "{team_id}",
        "type": "card",
        "provider": "visa",
        "last4": "4242",
        "exp_month": 12,
        "exp_year": 2099,
    },
    "billing_portal": {"team_id": "{team_id}"},
    "billing_details_save": {"team_id": "{team_id}", "city": "Bonn", "country": "DE"},
}


def _product() -> list[Operation]:
    return operations("product")


def _with_ids() -> list[Operation]:
    return [operation for operation in _product() if set(operation.parameter_names("path")) - OF_NO_TENANT]


def _snapshot() -> dict[str, list[dict[str, Any]]]:
    return {name: list(apps.get_model(name).objects.order_by("pk").values()) for name in TENANTS_MODELS}


def _call(operation: Operation, ids: dict[str, str], token: str) -> Any:
    body = BODIES_WITH_IDS.get(operation.id, {"name": "Mine", "role": "owner", "email": "mine@example.org"})
    return ServiceClient("product").send(operation.method, operation.url_for(ids), _filled(body, ids), token=token)


def _filled(body: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    return {name: value.format_map(ids) if isinstance(value, str) else value for name, value in body.items()}


@pytest.mark.parametrize("operation", _with_ids(), ids=str)
def test_with_the_other_teams_ids_there_is_nothing(operation: Operation, scenario: tenant_scenario.Scenario) -> None:
    before = _snapshot()

    answer = _call(operation, scenario.ids, scenario.stranger.token)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert tenant_scenario.SENTINEL not in answer.content.decode()
    assert _snapshot() == before


@pytest.mark.parametrize(
    "operation", [operation for operation in _with_ids() if len(operation.parameter_names("path")) > 1], ids=str
)
def test_the_other_teams_objects_are_not_found_under_ones_own_team(
    operation: Operation, scenario: tenant_scenario.Scenario
) -> None:
    before = _snapshot()

    answer = _call(operation, {**scenario.ids, "team_id": scenario.other_team.id}, scenario.stranger.token)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert _snapshot() == before


@pytest.mark.parametrize("name", BODIES_WITH_IDS)
def test_the_other_teams_ids_in_a_body_are_not_found(name: str, scenario: tenant_scenario.Scenario) -> None:
    operation = next(operation for operation in _product() if operation.id == name)
    before = _snapshot()

    body = _filled(BODIES_WITH_IDS[name], scenario.ids)
    answer = ServiceClient("product").send(
        operation.method, operation.url_for(scenario.other_ids), body, token=scenario.stranger.token
    )

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert _snapshot() == before


def test_every_body_with_an_id_is_tested() -> None:
    with_ids = {operation.id for operation in _product() if operation.fields.keys() & TENANTS_IDS}

    assert with_ids == set(BODIES_WITH_IDS)


def test_every_id_in_a_path_has_an_object_of_the_first_team(scenario: tenant_scenario.Scenario) -> None:
    in_paths = {name for operation in _with_ids() for name in operation.parameter_names("path")} - OF_NO_TENANT
    missing = in_paths - scenario.ids.keys()

    assert not missing, "\n".join(
        f"`{name}` in a path names nothing in the isolation tests: add it to `tenant_objects` in the module's "
        "tests/tenants.py."
        for name in sorted(missing)
    )


@pytest.mark.parametrize(
    "operation", [o for o in _product() if TENANTS_IDS.intersection(o.parameter_names("query"))], ids=str
)
def test_the_other_teams_ids_in_a_query_are_not_found(operation: Operation, scenario: tenant_scenario.Scenario) -> None:
    before = _snapshot()
    query = "&".join(
        f"{name}={scenario.ids[name]}" for name in TENANTS_IDS.intersection(operation.parameter_names("query"))
    )

    answer = ServiceClient("product").send(
        operation.method, f"{operation.url_for(scenario.other_ids)}?{query}", token=scenario.stranger.token
    )

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert _snapshot() == before


@pytest.mark.parametrize(
    "operation", [o for o in _product() if o.method == "GET" and "provider" not in o.parameter_names("path")], ids=str
)
def test_nothing_the_other_owner_reads_reveals_the_first_team(
    operation: Operation, scenario: tenant_scenario.Scenario
) -> None:
    url = operation.url_for({**scenario.other_ids, "name": "auth-core"})

    answer = ServiceClient("product").get(url, token=scenario.stranger.token)

    assert answer.status_code < 400
    assert tenant_scenario.SENTINEL.lower() not in answer.content.decode().lower()
    assert scenario.team.id not in answer.content.decode()
