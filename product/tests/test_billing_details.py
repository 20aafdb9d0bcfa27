"""Billing address and tax id through the API: a person's and a team's."""

import pytest

from saas.billing.models import BillingDetails
from saas.teams.roles import Role
from saas.testing.clients import ServiceClient
from saas.testing.factories import team_factories
from saas.testing.factories.user_factories import Person

PATH = "/api/billing/details"
NAMES = ("company_name", "line1", "line2", "postal_code", "city", "state", "country", "tax_id_kind", "tax_id")
EMPTY = dict.fromkeys((*NAMES, "tax_id_state", "tax_id_sentence"), "")
PENDING = {"tax_id": "DE136695976", "tax_id_state": "pending", "tax_id_sentence": "It is being checked."}
GIVEN = {
    "company_name": "Example GmbH",
    "line1": "Linden 1",
    "city": "Berlin",
    "country": "DE",
    "tax_id_kind": "eu_vat",
    "tax_id": "DE 136695976",
}


def test_a_persons_are_theirs_and_a_teams_the_teams(product: ServiceClient, customer: Person) -> None:
    team = team_factories.create_team(customer)
    assert product.get(PATH, token=customer.token).json() == {"billing_details": EMPTY}

    answer = product.send("PUT", PATH, {**GIVEN, "team_id": team.id}, token=customer.token)

    stored = {**EMPTY, **GIVEN, **PENDING}
    assert (answer.status_code, answer.json()) == (200, {"billing_details": stored})
    assert product.get(f"{PATH}?team_id={team.id}", token=customer.token).json() == {"billing_details": stored}
    assert product.get(PATH, token=customer.token).json() == {"billing_details": EMPTY}


def test_what_is_left_out_is_no_longer_there(product: ServiceClient, customer: Person) -> None:
    product.send("PUT", PATH, GIVEN, token=customer.token)

    answer = product.send("PUT", PATH, {"country": "AT"}, token=customer.token)

    assert answer.json() == {"billing_details": {**EMPTY, "country": "AT"}}
    assert BillingDetails.objects.count() == 1


def test_it_says_that_the_provider_does_not_take_a_tax_id(product: ServiceClient, customer: Person) -> None:
    product.send("PUT", PATH, GIVEN, token=customer.token)
    BillingDetails.objects.update(tax_id_refusal="Invalid value for eu_vat.")

    shown = product.get(PATH, token=customer.token).json()["billing_details"]

    assert shown["tax_id_state"] == "refused"
    assert shown["tax_id_sentence"].startswith("The payment provider does not take it")


@pytest.mark.parametrize(
    ("changes", "status", "code", "field"),
    [
        ({"tax_id": "DE136695977"}, 400, "bad_tax_id", "tax_id"),
        ({"tax_id_kind": ""}, 400, "bad_tax_id", "tax_id_kind"),
        ({"tax_id_kind": "de_vat"}, 422, "invalid", "tax_id_kind"),
        ({"country": ""}, 422, "invalid", "country"),
        ({"line1": "x" * 201}, 422, "invalid", "line1"),
        ({"line1": 1}, 422, "invalid", "line1"),
        ({"company_name": "x" * 201}, 422, "invalid", "company_name"),
        ({"city": "4242 4242 4242 4242"}, 422, "invalid", "city"),
    ],
)
def test_a_fault_is_named_by_its_field(
    product: ServiceClient, customer: Person, changes: dict[str, str], status: int, code: str, field: str
) -> None:
    answer = product.send("PUT", PATH, {**GIVEN, **changes}, token=customer.token)

    assert (answer.status_code, answer.json()["code"], list(answer.json()["errors"])) == (status, code, [field])
    assert not BillingDetails.objects.exists()


@pytest.mark.parametrize("role", [Role.ADMIN, Role.MEMBER, Role.VIEWER])
def test_only_its_owner_sees_or_changes_a_teams(product: ServiceClient, customer: Person, role: Role) -> None:
    team = team_factories.create_team(customer)
    member = team_factories.add_member(team, role)

    assert product.get(f"{PATH}?team_id={team.id}", token=member.token).status_code == 403
    assert product.send("PUT", PATH, {**GIVEN, "team_id": team.id}, token=member.token).status_code == 403
    assert not BillingDetails.objects.exists()


def test_another_persons_team_is_not_there(product: ServiceClient, customer: Person, other: Person) -> None:
    team = team_factories.create_team(customer)

    assert product.get(f"{PATH}?team_id={team.id}", token=other.token).status_code == 404
    assert product.send("PUT", PATH, {**GIVEN, "team_id": team.id}, token=other.token).status_code == 404


def test_reading_costs_two_queries(product: ServiceClient, customer: Person, django_assert_num_queries) -> None:
    product.send("PUT", PATH, GIVEN, token=customer.token)

    with django_assert_num_queries(2):  # session, row
        product.get(PATH, token=customer.token)
