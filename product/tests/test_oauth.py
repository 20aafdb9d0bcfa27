"""Signing in through a provider: the way it goes."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

import httpx
import pytest
from oidc_provider_mock import User as MockUser
from oidc_provider_mock import run_server_in_thread

from saas.accounts.models import LoginSession, OAuthIdentity, OAuthState, User
from saas.accounts.oauth import providers
from saas.accounts.staff import staff_administration
from saas.audit.models import AuditEvent
from saas.mail.models import Mail
from saas.settings.accounts import OAuthProvider
from saas.testing.clients import ServiceClient
from saas.testing.factories.user_factories import Person
from saas.testing.servers.identity_provider import IdentityProvider


def begun(product: ServiceClient, name: str = "oidc", query: str = "") -> str:
    answer = product.get(f"/api/auth/oauth/{name}{query}")
    assert answer.status_code == 307
    return str(answer.headers["Location"])


@pytest.fixture
def mock_provider(settings):
    """A provider that we did not write (oidc-provider-mock)."""
    person = MockUser(sub="mara", claims={"email": "mara@example.org", "email_verified": True, "name": "Mara M"})
    with run_server_in_thread(user_claims=[person]) as server:
        issuer = f"http://localhost:{server.server_port}"
        settings.OAUTH_PROVIDERS = {"oidc": OAuthProvider("oidc", "some-client", "some-secret", issuer=issuer)}
        yield issuer
    providers._discovered.clear()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_newcomer_signs_in_through_a_standard_provider(product, mock_provider: str, method: str) -> None:
    location = begun(product)
    consent = httpx.post(location, data={"sub": "mara"})
    came_back = dict(parse_qsl(urlsplit(consent.headers["Location"]).query))

    address = "/api/auth/oauth/oidc/callback"
    if method == "GET":
        answer = product.get(f"{address}?code={came_back['code']}&state={came_back['state']}")
    else:
        answer = product.post(address, {"state": came_back["state"], "code": came_back["code"]})

    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {
        "user", "access_token", "token_type", "expires_in", "refresh_token", "session_id", "provider",
    }  # fmt: skip
    assert body["provider"] == "oidc"
    assert (body["user"]["email"], body["user"]["full_name"]) == ("mara@example.org", "Mara M")
    assert body["user"]["is_verified"] is True
    assert product.get("/api/auth/me", token=body["access_token"]).status_code == 200
    assert product.get("/api/auth/me").status_code == 200  # by the cookie
    assert Mail.objects.get().template == "welcome"


def test_the_providers_that_are_configured_are_listed(product, idp: IdentityProvider) -> None:
    assert product.get("/api/auth/oauth").json() == {"providers": ["google", "oidc"]}


def test_a_provider_that_is_not_configured_is_not_there(product: ServiceClient) -> None:
    start = product.get("/api/auth/oauth/google")
    callback = product.post("/api/auth/oauth/google/callback", {"state": "s", "code": "c"})

    assert start.status_code == callback.status_code == 404
    assert start.json()["code"] == "not_found"


def test_the_browser_is_sent_with_pkce_state_nonce_and_our_redirect_uri(product, idp: IdentityProvider) -> None:
    asked = parse_qs(urlsplit(begun(product)).query)

    assert asked["redirect_uri"] == ["http://localhost:8000/api/auth/oauth/oidc/callback"]
    assert asked["response_type"] == ["code"]
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["scope"] == ["openid email profile"]
    assert {len(asked[name][0]) for name in ("state", "nonce", "code_challenge")} == {43}
    cookie = product.cookies["oauth_browser"]
    assert (cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (True, "Lax", 600)
    assert asked["state"][0] not in OAuthState.objects.values_list("state_hash", flat=True)


def test_a_sign_in_that_begins_on_the_host_of_the_pages_comes_back_there(
    product, idp: IdentityProvider, settings
) -> None:
    settings.FRONTEND_BASE_URL, host = "http://127.0.0.1:8000", {"Host": "127.0.0.1:8000"}
    location = product.get("/login/with/oidc?next=/account", headers=host).headers["Location"]
    assert parse_qs(urlsplit(location).query)["redirect_uri"] == ["http://127.0.0.1:8000/api/auth/oauth/oidc/callback"]

    answer = idp.approve(location, email="new@example.org", email_verified=True)
    back = product.get(f"/api/auth/oauth/oidc/callback?{urlencode(answer)}", headers=host)

    assert back.headers["Location"] == "http://127.0.0.1:8000/login/return?next=%2Faccount"
    assert back.cookies["saas_session"]["domain"] == ""
    assert User.objects.get().email == "new@example.org"


def test_the_browser_cookie_is_host_bound_where_cookies_are_secure(product, idp, settings) -> None:
    settings.SESSION_COOKIE_SECURE = True

    begun(product)

    cookie = product.cookies["__Host-oauth"]
    assert (cookie["secure"], cookie["path"], cookie["domain"]) == (True, "/", "")


def test_a_known_identity_logs_in_also_with_a_changed_address(product, idp: IdentityProvider) -> None:
    first = product.post(
        "/api/auth/oauth/oidc/callback", idp.approve(begun(product), email="old@example.org", email_verified=True)
    ).json()
    OAuthIdentity.objects.update(last_login_at=datetime(2026, 1, 1, tzinfo=UTC))
    second = product.post(
        "/api/auth/oauth/oidc/callback", idp.approve(begun(product), email="new@example.org", email_verified=True)
    ).json()

    assert second["user"]["id"] == first["user"]["id"]
    assert second["user"]["email"] == "old@example.org"
    assert second["session_id"] != first["session_id"]
    assert User.objects.count() == 1
    identity = OAuthIdentity.objects.get()
    assert (identity.email, identity.last_login_at > identity.created_at) == ("new@example.org", True)
    registered = AuditEvent.objects.get(action="user.registered")
    assert (registered.target, registered.data) == (first["user"]["id"], {"provider": "oidc"})


@pytest.mark.parametrize("registration", ["invite", "closed"])
@pytest.mark.parametrize("is_verified", [True, False])
def test_where_registration_is_not_open_a_provider_signs_in_only_whom_we_know(
    product, idp: IdentityProvider, settings, registration: str, is_verified: bool
) -> None:
    known = idp.approve(begun(product), email="old@example.org", email_verified=True)
    first = product.post("/api/auth/oauth/oidc/callback", known)
    settings.REGISTRATION = registration
    again = product.post(
        "/api/auth/oauth/oidc/callback", idp.approve(begun(product), email="old@example.org", email_verified=True)
    )
    refused = product.post(
        "/api/auth/oauth/oidc/callback",
        idp.approve(begun(product), sub="person-2", email="new@example.org", email_verified=is_verified),
    )

    assert (first.status_code, again.status_code) == (200, 200)
    assert (refused.status_code, refused.json()["code"]) == (403, "registration_closed")
    assert User.objects.count() == 1


@pytest.mark.parametrize("claim", [{}, {"email_verified": False}, {"email_verified": "false"}, {"email_verified": 1}])
def test_an_address_is_verified_only_if_the_provider_says_so(product, idp: IdentityProvider, claim) -> None:
    answer = product.post(
        "/api/auth/oauth/oidc/callback", idp.approve(begun(product), email="new@example.org", **claim)
    )

    assert answer.json()["user"]["is_verified"] is False


def test_a_sign_in_goes_on_under_the_next_secret_key(product, idp: IdentityProvider, settings) -> None:
    came_back = idp.approve(begun(product), email="new@example.org", email_verified=True)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "the next key, of thirty-two bytes"

    assert product.post("/api/auth/oauth/oidc/callback", came_back).status_code == 200


def test_two_tabs_may_sign_in_at_once(product, idp: IdentityProvider) -> None:
    one, two = begun(product), begun(product)

    of_two = product.post("/api/auth/oauth/oidc/callback", idp.approve(two, sub="p2", email="p2@example.org"))
    of_one = product.post("/api/auth/oauth/oidc/callback", idp.approve(one, sub="p1", email="p1@example.org"))

    assert (of_two.status_code, of_one.status_code) == (200, 200)


def test_return_to_gets_the_browser_with_a_cookie_and_no_tokens(product, idp: IdentityProvider) -> None:
    location = begun(product, query="?return_to=http://localhost:8000/welcome")
    came_back = idp.approve(location, email="new@example.org")

    answer = product.get(f"/api/auth/oauth/oidc/callback?state={came_back['state']}&code={came_back['code']}")

    assert (answer.status_code, answer.content) == (303, b"")
    assert answer.headers["Location"] == "http://localhost:8000/welcome"
    assert product.get("/api/auth/me").status_code == 200


def test_what_hides_in_a_providers_name_is_left_out(product, idp: IdentityProvider) -> None:
    """It is not the person's to mend there and then (T93)."""
    sent = idp.approve(begun(product), email="new@example.org", name="\u202eZoe\u0308\u200b Mo\nrr")

    assert product.post("/api/auth/oauth/oidc/callback", sent).json()["user"]["full_name"] == "Zo\u00eb Morr"


# ── Coming back with nothing (T93) ───────────────────────────────────────────────────────────────────────────────────


def came_back(product: ServiceClient, location: str, query: str) -> Any:
    (state,) = parse_qs(urlsplit(location).query)["state"]
    return product.get(f"/api/auth/oauth/oidc/callback?state={state}&{query}")


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("http://localhost:8000/welcome", "http://localhost:8000/welcome?error=oauth_declined"),
        ("http://localhost:8000/in?tab=2", "http://localhost:8000/in?tab=2&error=oauth_declined"),
        ("http://localhost:8000/app#/login", "http://localhost:8000/app?error=oauth_declined#/login"),
    ],
)
def test_whoever_declines_comes_back_to_the_page_with_the_error(product, idp, page: str, told: str) -> None:
    location = begun(product, query=f"?return_to={quote(page)}")

    answer = came_back(product, location, "error=access_denied&error_description=The+user+said+no")

    assert (answer.status_code, answer.headers["Location"], answer.content) == (303, told, b"")
    assert "saas_session" not in answer.cookies
    assert not User.objects.exists()
    assert not OAuthState.objects.exists()


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("error=server_error", "oauth_code_refused"),
        ("error=%3Cscript%3E&code=c", "oauth_code_refused"),
        ("", "oauth_code_refused"),
        ("code=unknown", "oauth_code_refused"),
        ("code=unknown&iss=https://evil.example", "oauth_state_invalid"),
    ],
)
def test_whatever_goes_wrong_at_the_provider_comes_back_as_a_code_of_ours(product, idp, query: str, code: str) -> None:
    location = begun(product, query="?return_to=http://localhost:8000/welcome")

    answer = came_back(product, location, query)

    assert (answer.status_code, answer.headers["Location"]) == (303, f"http://localhost:8000/welcome?error={code}")


def test_whose_address_has_an_account_comes_back_with_that(product, idp: IdentityProvider, customer: Person) -> None:
    User.objects.update(email_verified_at=customer.user.created_at)
    location = begun(product, query="?return_to=http://localhost:8000/welcome")
    sent = idp.approve(location, email=customer.user.email, email_verified=True)

    answer = product.get(f"/api/auth/oauth/oidc/callback?state={sent['state']}&code={sent['code']}")

    assert answer.headers["Location"] == "http://localhost:8000/welcome?error=account_exists"
    assert "saas_session" not in answer.cookies


@pytest.mark.parametrize("return_to", ["", "http://localhost:8000/welcome"])
def test_a_program_reads_the_refusal_itself(product, idp: IdentityProvider, return_to: str) -> None:
    (state,) = parse_qs(urlsplit(begun(product, query=f"?return_to={return_to}")).query)["state"]

    answer = product.post("/api/auth/oauth/oidc/callback", {"state": state, "error": "access_denied"})

    assert (answer.status_code, answer.json()["code"]) == (400, "oauth_declined")


def test_github_signs_in_by_the_primary_verified_address_of_its_api(product, github: IdentityProvider) -> None:
    github.answers["/user"] = (200, {"id": 4711, "login": "mara", "name": "Mara", "email": "shown@example.org"})
    github.answers["/user/emails"] = (
        200,
        [
            {"email": "other@example.org", "primary": False, "verified": True},
            {"email": "mara@example.org", "primary": True, "verified": True},
        ],
    )

    answer = product.post("/api/auth/oauth/github/callback", github.approve(begun(product, "github")))

    assert answer.status_code == 200
    assert answer.json()["user"]["email"] == "mara@example.org"
    identity = OAuthIdentity.objects.get()
    assert (identity.issuer, identity.subject) == ("https://github.com", "4711")


def test_github_without_a_verified_primary_address_creates_no_account(product, github: IdentityProvider) -> None:
    github.answers["/user"] = (200, {"id": 4711, "email": "shown@example.org"})
    github.answers["/user/emails"] = (200, [{"email": "mara@example.org", "primary": True, "verified": False}])

    answer = product.post("/api/auth/oauth/github/callback", github.approve(begun(product, "github")))

    assert (answer.status_code, answer.json()["code"]) == (409, "oauth_email_missing")
    assert not User.objects.exists()


def test_a_banned_person_cannot_sign_in_through_a_provider(
    product, idp: IdentityProvider, staff_member: Person
) -> None:
    product.post("/api/auth/oauth/oidc/callback", idp.approve(begun(product), email="new@example.org"))
    staff_administration.ban_user(User.objects.get(email="new@example.org"), by=staff_member.user, reason="spam")
    answer = product.post("/api/auth/oauth/oidc/callback", idp.approve(begun(product), email="new@example.org"))

    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")
    assert not LoginSession.objects.live().filter(user__is_staff=False).exists()


def test_a_member_of_staff_cannot_sign_in_through_a_provider(product, idp: IdentityProvider) -> None:
    product.post("/api/auth/oauth/oidc/callback", idp.approve(begun(product), email="new@example.org"))
    User.objects.update(is_staff=True)
    LoginSession.objects.all().delete()

    answer = product.post("/api/auth/oauth/oidc/callback", idp.approve(begun(product), email="new@example.org"))

    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")
    assert not LoginSession.objects.filter(user__isnull=False).exists()
