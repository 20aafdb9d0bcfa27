"""Providers differ: where they tell the address, and how they want to know who calls them."""

from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from saas.accounts.models import OAuthIdentity, User
from saas.accounts.oauth.http_client import IdentityProviderUnavailable, call_provider
from saas.testing.clients import ServiceClient
from saas.testing.servers.identity_provider import RESERVED_SECRET, IdentityProvider
from saas.testing.servers.in_thread import served_in_thread

TOLD = {"sub": "person-1", "email": "mara@example.org", "email_verified": True, "name": "Mara M"}


def sign_in(product: ServiceClient, idp: IdentityProvider, **claims: object):
    location = product.get("/api/auth/oauth/oidc").headers["Location"]
    return product.post("/api/auth/oauth/oidc/callback", idp.approve(location, **claims))


def test_an_address_that_only_userinfo_tells_is_read(product, idp: IdentityProvider, db) -> None:
    idp.userinfo = TOLD

    user = sign_in(product, idp).json()["user"]

    assert (user["email"], user["full_name"], user["is_verified"]) == ("mara@example.org", "Mara M", True)


def test_an_address_that_userinfo_alone_has_verified_is_verified(product, idp: IdentityProvider, db) -> None:
    idp.userinfo = TOLD

    assert sign_in(product, idp, email="mara@example.org").json()["user"]["is_verified"] is True


def test_userinfo_verifies_no_address_of_the_id_token(product, idp: IdentityProvider, db) -> None:
    idp.userinfo = TOLD

    sign_in(product, idp, email="victim@example.org")

    identity = OAuthIdentity.objects.get()
    assert (identity.email, identity.email_is_verified) == ("mara@example.org", True)
    assert not User.objects.filter(email="victim@example.org").exists()


def test_what_the_id_token_tells_is_not_asked_again(product, idp: IdentityProvider, db) -> None:
    idp.userinfo = TOLD

    user = sign_in(product, idp, email="kim@example.org", email_verified=False).json()["user"]

    assert (user["email"], user["is_verified"]) == ("kim@example.org", False)
    assert "GET /userinfo" not in idp.paths


def test_userinfo_of_another_person_is_refused(product, idp: IdentityProvider, db) -> None:
    idp.userinfo = {**TOLD, "sub": "person-2"}

    answer = sign_in(product, idp)

    assert (answer.status_code, answer.json()["code"]) == (400, "oauth_token_invalid")
    assert not User.objects.exists()


@pytest.mark.parametrize(("claims", "status"), [({}, 502), ({"email": "kim@example.org"}, 200)])
def test_without_userinfo_the_id_token_must_tell_the_address(
    product, idp: IdentityProvider, db, claims: dict[str, str], status: int
) -> None:
    idp.userinfo = TOLD
    idp.answers["/userinfo"] = (503, {})

    assert sign_in(product, idp, **claims).status_code == status
    assert [user.is_verified for user in User.objects.all()] == [False] * len(claims)


def test_who_is_known_logs_in_though_userinfo_is_away(product, idp: IdentityProvider, db) -> None:
    idp.userinfo = TOLD
    sign_in(product, idp)
    idp.answers["/userinfo"] = (503, {})

    answer = sign_in(product, idp)

    assert (answer.status_code, answer.json()["user"]["email"]) == (200, "mara@example.org")
    identity = OAuthIdentity.objects.get()
    assert (identity.email, identity.email_is_verified) == ("mara@example.org", True)


def test_userinfo_without_an_address_verifies_none(product, idp: IdentityProvider, db) -> None:
    idp.userinfo = {"sub": "person-1", "email_verified": True}

    assert sign_in(product, idp, email="victim@example.org").json()["user"]["is_verified"] is False


def test_userinfo_at_a_host_that_is_not_called_is_left_out(product, idp: IdentityProvider, db) -> None:
    metadata = {**idp.metadata, "userinfo_endpoint": "https://elsewhere.example/userinfo"}
    idp.answers["/.well-known/openid-configuration"] = (200, metadata)

    assert sign_in(product, idp, email="mara@example.org").status_code == 200


def test_an_address_that_is_too_long_is_not_cut(product, idp: IdentityProvider, db) -> None:
    answer = sign_in(product, idp, email=f"mara@{'a.' * 124}example.community", email_verified=True)

    assert (answer.status_code, answer.json()["code"]) == (409, "oauth_email_missing")
    assert not User.objects.exists()


@pytest.mark.parametrize(("method", "secret"), [("client_secret_basic", RESERVED_SECRET), ("none", "")])
def test_a_code_is_exchanged_as_the_provider_wants(
    product, idp: IdentityProvider, db, settings, method: str, secret: str
) -> None:
    idp.auth_methods = [method]
    settings.OAUTH_PROVIDERS = {"oidc": replace(idp.provider_settings(), client_secret=secret)}

    assert sign_in(product, idp, email="mara@example.org").status_code == 200


@pytest.mark.parametrize(("claim", "is_verified"), [("true", True), ("false", False), (1, False), ("yes", False)])
def test_a_provider_may_write_that_an_address_is_verified_as_a_word(
    product, idp: IdentityProvider, db, claim: object, is_verified: bool
) -> None:
    user = sign_in(product, idp, email="mara@example.org", email_verified=claim).json()["user"]

    assert user["is_verified"] is is_verified


@pytest.mark.parametrize(
    ("alg", "key"),
    [
        ("ES384", lambda: ECKey.generate_key("P-384")),
        ("RS512", lambda: RSAKey.generate_key(2048)),
        ("EdDSA", lambda: OKPKey.generate_key("Ed25519")),
        ("Ed25519", lambda: OKPKey.generate_key("Ed25519")),
    ],
)
def test_a_provider_signs_with_any_algorithm_that_has_a_public_key(
    product, idp: IdentityProvider, db, alg, key
) -> None:
    idp.key = idp.signing_key = key()
    idp.header = {"alg": alg}

    assert sign_in(product, idp, email="mara@example.org").status_code == 200


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"given_name": "Mara", "family_name": "Müller"}, "Mara Müller"),
        ({"name": None, "given_name": "Mara"}, "Mara"),
        ({"name": "Dr. Mara M", "given_name": "Mara", "family_name": "Müller"}, "Dr. Mara M"),
        ({"given_name": 5, "family_name": ["x"]}, ""),
        ({"given_name": "a" * 150, "family_name": "b" * 150}, f"{'a' * 150} {'b' * 49}"),
    ],
)
def test_a_name_that_is_told_in_parts_is_put_together(product, idp: IdentityProvider, db, claims, name: str) -> None:
    assert sign_in(product, idp, email="mara@example.org", **claims).json()["user"]["full_name"] == name


@pytest.mark.parametrize(
    "unusable",
    [
        {"kty": "EC", "crv": "brainpoolP256r1", "x": "AQAB", "y": "AQAB", "kid": "two"},
        {"kty": "RSA", "kid": "two"},
        {"kty": "RSA", "n": 5, "e": "AQAB", "kid": "two"},
        {"kty": "EC", "crv": "P-256", "x": "AQAB", "y": "AQAB", "kid": "two"},  # no point of the curve
        {"kty": "OKP", "crv": "Ed25519", "x": "AQAB", "kid": "two"},
    ],
)
def test_a_key_of_the_provider_that_cannot_be_used_is_ignored(product, idp: IdentityProvider, db, unusable) -> None:
    """RFC 7517, 5."""
    idp.answers["/jwks"] = (200, {"keys": [unusable, idp.key.as_dict(private=False)]})

    assert sign_in(product, idp, email="mara@example.org").status_code == 200


@pytest.mark.parametrize("another", [ECKey.generate_key("P-256"), OKPKey.generate_key("Ed25519")])
def test_a_token_without_key_id_uses_the_only_key_of_its_type(product, idp: IdentityProvider, db, another) -> None:
    idp.header = {"alg": "RS256"}
    idp.answers["/jwks"] = (200, {"keys": [another.as_dict(private=False), idp.key.as_dict(private=False)]})

    assert sign_in(product, idp, email="mara@example.org").status_code == 200


@pytest.mark.parametrize(("tenant", "status"), [("9188040d-6c67-4c5b-b112-36a304b66dad", 200), ("contoso", 400)])
def test_a_tenant_in_an_issuers_name_must_be_an_id(
    product, idp: IdentityProvider, db, settings, tenant: str, status: int
) -> None:
    settings.OAUTH_PROVIDERS = {"oidc": replace(idp.provider_settings(), issuer=f"{idp.issuer}/common/v2.0")}
    metadata = {**idp.metadata, "issuer": f"{idp.issuer}/{{tenantid}}/v2.0"}
    idp.answers["/common/v2.0/.well-known/openid-configuration"] = (200, metadata)
    issuer = f"{idp.issuer}/{tenant}/v2.0"
    location = product.get("/api/auth/oauth/oidc").headers["Location"]
    came_back = idp.approve(location, email="mara@example.org", tid=tenant, iss=issuer)

    assert product.post("/api/auth/oauth/oidc/callback", {**came_back, "iss": issuer}).status_code == status
    assert User.objects.exists() is (status == 200)


def test_what_github_refuses_with_200_is_refused(product, github: IdentityProvider, db) -> None:
    location = product.get("/api/auth/oauth/github").headers["Location"]
    github.answers["/token"] = (200, {"error": "bad_verification_code", "access_token": "at"})
    github.answers["/user"] = (200, {"id": 4711})
    github.answers["/user/emails"] = (200, [{"email": "mara@example.org", "primary": True, "verified": True}])

    answer = product.post("/api/auth/oauth/github/callback", github.approve(location))

    assert (answer.status_code, answer.json()["code"]) == (400, "oauth_code_refused")
    assert not User.objects.exists()


def test_a_providers_redirect_is_not_followed() -> None:
    asked: list[str] = []

    class Redirecting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(302 if self.path == "/keys" else 200)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

    with (
        served_in_thread(HTTPServer(("localhost", 0), Redirecting)) as server,
        pytest.raises(IdentityProviderUnavailable),
    ):
        call_provider("GET", f"http://localhost:{server.server_port}/keys", hosts=["localhost"])

    assert asked == ["/keys"]
