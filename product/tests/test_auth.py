"""Registering, logging in, and being recognised, over HTTP."""

import pytest
from django.core import mail as outbox  # noqa: F401

from saas.accounts.models import LoginSession, User
from saas.audit.models import AuditEvent
from saas.testing.clients import ServiceClient
from saas.testing.factories.user_factories import PASSWORD, Person


def test_registering_answers_with_the_user_the_tokens_and_the_cookie(product: ServiceClient) -> None:
    answer = product.post(
        "/api/auth/register", {"email": "User@Example.com", "password": "SecurePass123!", "full_name": "Test User"}
    )

    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == {"user", "access_token", "token_type", "expires_in", "refresh_token", "session_id"}
    assert body["user"]["email"] == "User@Example.com"
    assert body["token_type"] == "bearer"
    assert body["expires_in"] == 900
    assert answer.cookies["saas_session"]["httponly"]


def test_the_token_and_the_cookie_are_two_ways_to_the_same_session(product: ServiceClient, customer: Person) -> None:
    by_token = product.get("/api/auth/me", token=customer.token)
    product.cookies["saas_session"] = customer.cookie_key
    by_cookie = product.get("/api/auth/me")

    assert by_token.status_code == by_cookie.status_code == 200
    assert by_token.json() == by_cookie.json()
    assert by_token.json()["impersonation"] is None


def test_an_address_in_another_spelling_is_taken(product: ServiceClient, customer: Person) -> None:
    answer = product.post("/api/auth/register", {"email": customer.user.email.upper(), "password": "SecurePass123!"})

    assert answer.status_code == 409
    assert answer.json()["code"] == "email_taken"
    assert User.objects.count() == 1


def test_a_wrong_password_and_an_unknown_address_are_answered_alike(product: ServiceClient, customer: Person) -> None:
    wrong = product.post("/api/auth/login", {"email": customer.user.email, "password": "not the password"})
    unknown = product.post("/api/auth/login", {"email": "nobody@example.net", "password": "not the password"})

    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json()["detail"] == unknown.json()["detail"] == "Invalid credentials"
    assert "saas_session" not in wrong.cookies


def test_logging_in_opens_a_session_of_its_own(product: ServiceClient, customer: Person) -> None:
    before = product.get("/api/auth/csrf").json()["csrf_token"]

    answer = product.post("/api/auth/login", {"email": customer.user.email, "password": PASSWORD})

    assert answer.status_code == 200
    assert answer.json()["session_id"] != customer.session_id
    assert product.get("/api/auth/me").status_code == 200  # by the cookie just set
    assert User.objects.get().last_login == LoginSession.objects.latest("created_at").created_at
    assert product.post("/api/auth/logout", headers={"X-CSRFToken": before}).status_code == 403  # replaced at login


def test_an_unusable_bearer_header_never_falls_back_to_the_cookie(product: ServiceClient, customer: Person) -> None:
    product.cookies["saas_session"] = customer.cookie_key

    answer = product.get("/api/auth/me", headers={"Authorization": "Bearer nonsense"})

    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_a_cookie_client_needs_the_csrf_token_to_write(product: ServiceClient, customer: Person) -> None:
    product.cookies["saas_session"] = customer.cookie_key

    refused = product.patch("/api/users/profile", {"biography": "Hello"})
    token = product.get("/api/auth/csrf").json()["csrf_token"]
    accepted = product.patch("/api/users/profile", {"biography": "Hello"}, headers={"X-CSRFToken": token})

    assert (refused.status_code, refused.json()["code"]) == (403, "csrf_failed")
    assert accepted.status_code == 200


def test_logging_out_kills_the_token_and_the_cookie_at_once(product: ServiceClient, customer: Person) -> None:
    product.cookies["saas_session"] = customer.cookie_key
    answer = product.post("/api/auth/logout", token=customer.token)

    assert (answer.status_code, answer.cookies["saas_session"].value) == (204, "")
    assert product.get("/api/auth/me", token=customer.token).status_code == 401
    product.cookies["saas_session"] = customer.cookie_key
    assert product.get("/api/auth/me").status_code == 401
    assert AuditEvent.objects.get(action="session.closed").target == customer.session_id


def test_a_refresh_token_is_exchanged_once(product: ServiceClient, customer: Person) -> None:
    first = product.post("/api/auth/refresh", {"refresh_token": customer.refresh_token})
    twin = product.post("/api/auth/refresh", {"refresh_token": customer.refresh_token})

    assert first.status_code == twin.status_code == 200
    assert twin.json()["refresh_token"] == first.json()["refresh_token"]
    assert product.get("/api/auth/me", token=first.json()["access_token"]).status_code == 200


def test_me_costs_one_query(product: ServiceClient, customer: Person, django_assert_num_queries) -> None:
    with django_assert_num_queries(1):
        assert product.get("/api/auth/me", token=customer.token).status_code == 200


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"{", b'{"email": "\\u0000"}', b"[" * 2000], ids=repr)
def test_an_empty_or_broken_body_is_not_understood(product: ServiceClient, raw: bytes) -> None:
    answer = product.post("/api/auth/login", raw=raw)

    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
