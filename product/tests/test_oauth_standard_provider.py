"""Attacks on signing in, against an issuer that others wrote (oidc-provider-mock): T22 to T27.

What an honest issuer cannot be made to do (lie in its tokens) is in ``test_oauth_attacks.py``.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
import time_machine
from oidc_provider_mock import User as MockUser
from oidc_provider_mock import run_server_in_thread

from saas.accounts.models import LoginSession, OAuthIdentity, User
from saas.accounts.oauth import providers
from saas.settings.accounts import OAuthProvider
from saas.testing.clients import ServiceClient
from saas.testing.factories import user_factories
from saas.testing.factories.team_factories import with_verified_email
from saas.testing.factories.user_factories import Person

CALLBACK = "/api/auth/oauth/oidc/callback"
MARA = {"email": "mara@example.org", "email_verified": True, "name": "Mara M"}


@pytest.fixture
def issuer(settings) -> Iterator[str]:
    """Configured twice, as two providers that know the same people."""
    people = [
        MockUser(sub="mara", claims=MARA),
        MockUser(sub="unverified", claims={**MARA, "email_verified": False}),
        MockUser(sub="silent", claims={"email": "mara@example.org", "name": "Mara M"}),
    ]
    with run_server_in_thread(user_claims=people) as server:
        url = f"http://localhost:{server.server_port}"
        names = ("oidc", "google")
        settings.OAUTH_PROVIDERS = {name: OAuthProvider(name, "client", "secret", issuer=url) for name in names}
        yield url
    providers._discovered.clear()


def begun(product: ServiceClient, query: str = "", name: str = "oidc") -> str:
    return str(product.get(f"/api/auth/oauth/{name}{query}").headers["Location"])


def approved(location: str, sub: str = "mara") -> dict[str, str]:
    """The person says yes at the issuer: what it appends to our callback."""
    consent = httpx.post(location, data={"sub": sub})
    return dict(parse_qsl(urlsplit(consent.headers["Location"]).query))


def only(came_back: dict[str, str]) -> dict[str, str]:
    return {name: came_back[name] for name in ("state", "code")}


def assert_refused(answer: Any, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "saas_session" not in answer.cookies


def test_an_address_in_the_callbacks_body_means_nothing(product, issuer: str, customer: Person) -> None:
    state = approved(begun(product))["state"]

    assert_refused(product.post(CALLBACK, {"state": state, "email": customer.user.email}), 400, "oauth_code_refused")
    assert User.objects.count() == LoginSession.objects.count() == 1

    answer = product.post(CALLBACK, {**only(approved(begun(product))), "email": customer.user.email})
    assert answer.json()["user"]["email"] == "mara@example.org"


def test_a_state_is_missing_anothers_anothers_providers_used_or_old(product, service, issuer: str) -> None:
    came_back = only(approved(begun(product)))
    refused = (400, "oauth_state_invalid")

    assert_refused(product.post(CALLBACK, {"code": came_back["code"]}), *refused)
    assert_refused(service("product").post(CALLBACK, came_back), *refused)
    assert_refused(product.post("/api/auth/oauth/google/callback", came_back), *refused)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=10, seconds=1)):
        assert_refused(product.post(CALLBACK, came_back), *refused)
    assert not User.objects.exists()

    assert product.post(CALLBACK, came_back).status_code == 200
    assert_refused(product.post(CALLBACK, came_back), *refused)


def test_a_code_that_was_stolen_is_of_no_use_in_another_sign_in(product, service, issuer) -> None:
    stolen = approved(begun(service("product")))["code"]
    mine = approved(begun(product))["state"]

    # The issuer does not check PKCE: the nonce of its ID token is not that of this sign-in.
    assert_refused(product.post(CALLBACK, {"state": mine, "code": stolen}), 400, "oauth_token_invalid")
    assert not User.objects.exists()


def test_a_code_of_another_redirect_uri_is_refused_by_the_issuer(product, issuer: str) -> None:
    location = begun(product).replace("localhost%3A8000", "evil.example")
    came_back = only(approved(location))

    assert_refused(product.post(CALLBACK, came_back), 400, "oauth_code_refused")


@pytest.mark.parametrize(
    ("sub", "is_verified"),
    [("mara", True), ("unverified", True), ("unverified", False), ("silent", True), ("silent", False)],
)
def test_an_address_that_has_an_account_is_never_linked_by_itself(product, issuer, db, sub: str, is_verified) -> None:
    person = user_factories.create_customer(email="Mara@example.org")
    if is_verified:
        with_verified_email(person)

    answer = product.post(CALLBACK, only(approved(begun(product), sub)))

    assert_refused(answer, 409, "account_exists")
    assert not OAuthIdentity.objects.exists()


def test_two_providers_of_one_address_are_linked_only_explicitly(product, issuer: str) -> None:
    login = product.post(CALLBACK, only(approved(begun(product)))).json()
    by_google = "/api/auth/oauth/google/callback"
    location = begun(product, name="google")
    OAuthIdentity.objects.update(subject="mara at the first")  # the second provider's sub is another person's there

    assert_refused(product.post(by_google, only(approved(location, "unverified"))), 409, "account_exists")

    link = product.post("/api/auth/oauth/google/link", {"return_to": ""}, token=login["access_token"]).json()
    linked = product.post(by_google, only(approved(link["authorization_url"], "unverified")))
    assert linked.json() == {"provider": "google", "linked": True}
    assert OAuthIdentity.objects.filter(user=login["user"]["id"]).count() == 2
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    "return_to", ["//evil.example", "https:evil", "javascript:alert(1)", "http://localhost:8000@evil"]
)
def test_the_browser_is_never_sent_to_another_site(product, issuer: str, return_to: str) -> None:
    assert_refused(product.get(f"/api/auth/oauth/oidc?return_to={return_to}"), 400, "return_to_not_allowed")
