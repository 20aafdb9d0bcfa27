"""One account, one session, two services: what Product gives works at Parity, and dies there at once."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from saas.testing.clients import ServiceClient
from saas.testing.factories.user_factories import PASSWORD, Person

ME = {"product": "/api/auth/me", "parity": "/auth/me"}
PATHS = {"product": "/api/auth", "parity": "/auth"}


@pytest.fixture(params=[("product", "parity"), ("parity", "product")], ids=["product first", "parity first"])
def pair(request: pytest.FixtureRequest, service) -> tuple[ServiceClient, ServiceClient]:
    here, there = request.param
    return service(here), service(there)


def path(client: ServiceClient, call: str) -> str:
    return f"{PATHS[client.service]}/{call}"


def log_in(client: ServiceClient, customer: Person) -> dict:
    return client.post(path(client, "login"), {"email": customer.user.email, "password": PASSWORD}).json()


def test_a_token_and_a_cookie_of_one_service_work_at_the_other(pair, customer: Person) -> None:
    here, there = pair
    tokens = log_in(here, customer)

    by_token = there.get(path(there, "me"), token=tokens["access_token"])
    there.cookies["saas_session"] = here.cookies["saas_session"].value
    by_cookie = there.get(path(there, "me"))

    assert (by_token.status_code, by_cookie.status_code) == (200, 200)
    assert by_token.json() == by_cookie.json()
    assert by_token.json()["user"]["id"] == customer.user.id


def test_a_refresh_token_works_once_across_both_services(pair, customer: Person) -> None:
    here, there = pair
    tokens = log_in(here, customer)

    exchanged = there.post(path(there, "refresh"), {"refresh_token": tokens["refresh_token"]})
    twin = here.post(path(here, "refresh"), {"refresh_token": tokens["refresh_token"]})
    here.post(path(here, "refresh"), {"refresh_token": exchanged.json()["refresh_token"]})
    spent = there.post(path(there, "refresh"), {"refresh_token": tokens["refresh_token"]})

    assert exchanged.status_code == 200
    assert here.get(path(here, "me"), token=exchanged.json()["access_token"]).status_code == 200
    assert twin.json()["refresh_token"] == exchanged.json()["refresh_token"]
    assert (spent.status_code, spent.json()["code"]) == (401, "refresh_rotated")


def test_reusing_a_refresh_token_elsewhere_ends_the_session_in_both(pair, customer: Person) -> None:
    here, there = pair
    tokens = log_in(here, customer)
    new = here.post(path(here, "refresh"), {"refresh_token": tokens["refresh_token"]}).json()

    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        reused = there.post(path(there, "refresh"), {"refresh_token": tokens["refresh_token"]})

    assert (reused.status_code, reused.json()["code"]) == (401, "refresh_reused")
    assert here.get(path(here, "me"), token=new["access_token"]).status_code == 401
    assert there.post(path(there, "refresh"), {"refresh_token": new["refresh_token"]}).status_code == 401


def test_logging_out_at_one_service_bites_at_the_other_at_once(pair, customer: Person) -> None:
    here, there = pair
    tokens = log_in(here, customer)
    there.cookies["saas_session"] = here.cookies["saas_session"].value

    assert here.post(path(here, "logout"), token=tokens["access_token"]).status_code == 204

    assert there.get(path(there, "me")).status_code == 401
    assert there.get(path(there, "me"), token=tokens["access_token"]).status_code == 401
    assert there.post(path(there, "refresh"), {"refresh_token": tokens["refresh_token"]}).status_code == 401


def test_ending_a_device_at_one_service_ends_it_at_the_other(pair, customer: Person) -> None:
    here, there = pair
    tokens = log_in(there, customer)

    ended = here.delete(path(here, f"sessions/{tokens.get('session_id') or tokens['sessionId']}"), token=customer.token)

    assert ended.status_code == 204
    assert there.get(path(there, "me"), token=tokens["access_token"]).status_code == 401


def test_a_profile_is_one_profile(product: ServiceClient, parity: ServiceClient, customer: Person) -> None:
    parity.patch("/users/profile", {"displayName": "From Parity"}, token=customer.token)
    product.patch("/api/users/profile", {"marketing_opt_in": True}, token=customer.token)

    there = parity.get("/users/profile", token=customer.token).json()
    here = product.get("/api/users/profile", token=customer.token).json()

    assert there["displayName"] == here["display_name"] == "From Parity"
    assert there["marketingOptIn"] is here["marketing_opt_in"] is True
