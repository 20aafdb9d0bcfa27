"""Names over the API: composed alike, found in any form, and refused with a sentence where something hides in them. (T93)"""

import unicodedata
from typing import Any

import pytest

from saas.accounts.models import User
from saas.accounts.staff.staff_administration import invite_staff
from saas.errors import Invalid
from saas.teams.models import Team
from saas.testing.clients import ServiceClient
from saas.testing.factories import user_factories
from saas.testing.factories.team_factories import create_api_key, create_team, with_verified_email
from saas.testing.factories.user_factories import PASSWORD, Person
from saas.text_normalization import HAS_INVISIBLE_CHARACTERS

HIDDEN = "Admin\u202e\u200b"
APART = unicodedata.normalize("NFD", "Zoë Ångström")
COMPOSED = unicodedata.normalize("NFC", APART)


@pytest.fixture
def customer(db: None) -> Person:
    return with_verified_email(user_factories.create_customer())


def test_nobody_registers_with_a_name_that_hides_something(product: ServiceClient) -> None:
    body = {"email": "new@example.net", "password": PASSWORD, "full_name": HIDDEN}

    answer = product.post("/api/auth/register", body)

    assert (answer.status_code, answer.json()["errors"]) == (422, {"full_name": [HAS_INVISIBLE_CHARACTERS]})
    assert not User.objects.filter(email="new@example.net").exists()


def test_parity_refuses_it_alike(parity: ServiceClient) -> None:
    answer = parity.post("/auth/register", {"email": "new@example.net", "password": PASSWORD, "fullName": HIDDEN})

    assert (answer.status_code, answer.json()["errors"]) == (422, {"fullName": [HAS_INVISIBLE_CHARACTERS]})


@pytest.mark.parametrize(
    ("method", "path", "field", "more"),
    [
        ("PATCH", "/api/users/profile", "display_name", {}),
        ("PUT", "/api/users/profile", "display_name", {}),
        ("POST", "/api/teams", "name", {}),
        ("PATCH", "/api/teams/{team}", "name", {}),
        ("POST", "/api/teams/{team}/api-keys", "name", {"scopes": ["read"]}),
    ],
)
def test_no_name_hides_something(product, customer: Person, method: str, path: str, field: str, more: Any) -> None:
    team = create_team(customer)

    answer = product.send(method, path.format(team=team.pk), {field: HIDDEN, **more}, token=customer.token)

    assert (answer.status_code, answer.json()["errors"][field]) == (422, [HAS_INVISIBLE_CHARACTERS])
    assert Team.objects.get().name == team.name


def test_staff_are_not_invited_by_such_a_name(db: None) -> None:
    with pytest.raises(Invalid, match="cannot be seen"):
        invite_staff(email="staff@example.net", full_name=HIDDEN, by="system", roles=[])


def test_names_are_kept_composed(product: ServiceClient, customer: Person) -> None:
    body = {"email": "zoe@example.net", "password": PASSWORD, "full_name": f" {APART} "}

    registered = product.post("/api/auth/register", body).json()
    team = product.post("/api/teams", {"name": APART}, token=customer.token).json()["team"]

    assert registered["user"]["full_name"] == COMPOSED
    assert team["name"] == COMPOSED


@pytest.mark.parametrize("search", [APART, COMPOSED, APART[:4], "\u200bZo\u00eb"])
@pytest.mark.parametrize("stored", [APART, COMPOSED], ids=["apart", "composed"])
def test_a_person_is_found_in_any_form(admin_ops, staff_member: Person, search: str, stored: str) -> None:
    zoe = user_factories.create_customer(full_name=COMPOSED)
    User.objects.filter(pk=zoe.user.pk).update(full_name=stored)  # as it was kept before names were composed

    answer = admin_ops.get(f"/api/admin/users?search={search}", token=staff_member.token)

    assert [user["id"] for user in answer.json()["users"]] == [zoe.user.pk]


@pytest.mark.parametrize(
    "search",
    ["bücher.example", "kim@bücher.example", "kim@BU\u0308CHER.example", "\uff4b\uff49\uff4d@b\u00fccher.example"],
)
def test_an_address_is_found_by_its_domain_in_any_letters(admin_ops, staff_member: Person, search: str) -> None:
    customer = user_factories.create_customer(email="kim@bücher.example")

    answer = admin_ops.get(f"/api/admin/users?search={search}", token=staff_member.token)

    assert [user["id"] for user in answer.json()["users"]] == [customer.user.pk]


def test_a_search_for_nothing_that_can_be_seen_finds_nobody(admin_ops, staff_member: Person) -> None:
    assert admin_ops.get("/api/admin/users?search=\u200b\u202e", token=staff_member.token).json()["users"] == []


@pytest.mark.parametrize("search", [APART, COMPOSED])
def test_the_desk_finds_a_team_and_a_key_in_any_form(
    admin_ops, staff_member: Person, customer: Person, search: str
) -> None:
    admin_ops.cookies["saas_admin_session"] = staff_member.cookie_key
    team = create_team(customer, COMPOSED)
    create_api_key(team, customer)

    lists = [admin_ops.get(f"/admin/teams/{table}/?q={search}") for table in ("team", "apikey", "membership")]

    assert [answer.context["cl"].result_count for answer in lists] == [1, 1, 1]


@pytest.mark.parametrize(
    "domain", ["b\u00fccher.example", "bu\u0308cher.example", "B\u00dcCHER.example", "xn--bcher-kva.example"]
)
def test_somebody_logs_in_by_her_address_in_any_form(product: ServiceClient, db: None, domain: str) -> None:
    customer = user_factories.create_customer(email="kim@bücher.example")

    answer = product.post("/api/auth/login", {"email": f"kim@{domain}", "password": PASSWORD})

    assert (answer.status_code, answer.json()["user"]["id"]) == (200, customer.user.pk)


@pytest.mark.parametrize(
    ("before", "after"), [("\u202a", "\u202c"), ("\u2068", "\u2069"), ("\ufeff", ""), ("", "\u200b\u00a0")]
)
def test_what_is_copied_along_with_an_address_is_left_out(product, db: None, before: str, after: str) -> None:
    address = {"email": f"{before}Kim@example.org{after}", "password": PASSWORD}

    registered = product.post("/api/auth/register", address)

    assert (registered.status_code, registered.json()["user"]["email"]) == (201, "Kim@example.org")
    assert product.post("/api/auth/login", address).status_code == 200
