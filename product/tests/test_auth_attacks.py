"""What a hostile client sends to the authentication endpoints (T07, T14, T20, T21, T35, T39)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from saas.accounts import email_addresses, one_time_tokens
from saas.accounts.models import Audience, LoginSession, OneTimeToken, User
from saas.accounts.sessions import signing_keys, tokens
from saas.billing.models import Subscription
from saas.mail.models import Mail
from saas.testing.clients import ServiceClient
from saas.testing.factories import user_factories
from saas.testing.factories.team_factories import create_team, with_verified_email
from saas.testing.factories.user_factories import PASSWORD, Person

ME = "/api/auth/me"


def bearer(value: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {value}"}


def forged(
    person: Person, *, headers: dict[str, Any] | None = None, key: Any = None, alg: str = "ES256", **claims: Any
) -> str:
    honest = jwt.decode(person.token, options={"verify_signature": False})
    signer = signing_keys.signing_key(honest["aud"])
    changed = {name: value for name, value in {**honest, **claims}.items() if value is not None}
    head = {"kid": signer.kid, "typ": "at+jwt", **(headers or {})}
    return jwt.encode(changed, key if key is not None else signer.private, alg, headers=head)


def other_audience(person: Person) -> str:
    return Audience.CUSTOMER if person.user.is_staff else Audience.STAFF


def by_her_own_key(person: Person, **headers: Any) -> str:
    """The header names, or holds, the key that the forger signed with."""
    mine = ec.generate_private_key(ec.SECP256R1())
    jwk = json.loads(ECAlgorithm.to_jwk(mine.public_key()))
    return forged(person, key=mine, headers={"kid": "mine", **{name: value or jwk for name, value in headers.items()}})


FAR = 4_000_000_000
FORGERIES: dict[str, Any] = {
    "alg none": lambda person: forged(person, key="", alg="none"),
    "hs256 with the public key": lambda person: forged(person, key=b"x" * 32, alg="HS256"),
    "another key": lambda person: forged(person, key=signing_keys._load(signing_keys.generate_pem()).private),
    "the other audience's key": lambda person: forged(
        person, key=signing_keys.signing_key(other_audience(person)).private
    ),
    "jku": lambda person: by_her_own_key(person, jku="https://evil.example/jwks.json"),
    "x5u": lambda person: by_her_own_key(person, x5u="https://evil.example/cert.pem"),
    "jwk": lambda person: by_her_own_key(person, jwk=None),
    "jwk under our kid": lambda person: by_her_own_key(
        person, jwk=None, kid=signing_keys.signing_key(Audience.CUSTOMER).kid
    ),
    "crit": lambda person: forged(person, headers={"crit": ["b64"], "b64": True}),
    "kid unknown": lambda person: forged(person, headers={"kid": "nobody"}),
    "kid a path": lambda person: forged(person, headers={"kid": "../../etc/passwd"}),
    "kid sql": lambda person: forged(person, headers={"kid": "' OR 1=1 --"}),
    "kid empty": lambda person: forged(person, headers={"kid": ""}),
    "typ jwt": lambda person: forged(person, headers={"typ": "JWT"}),
    "flipped bit": lambda person: person.token[:-10] + ("A" if person.token[-10] != "A" else "B") + person.token[-9:],
    "no exp": lambda person: forged(person, exp=None),
    "exp past": lambda person: forged(person, exp=1_000_000_000),
    "nbf future": lambda person: forged(person, nbf=FAR),
    "iat future": lambda person: forged(person, iat=FAR),
    "wrong iss": lambda person: forged(person, iss="https://evil.example"),
    "wrong aud": lambda person: forged(person, aud=other_audience(person)),
    "aud list": lambda person: forged(person, aud=["saas", "saas-admin"]),
    "no sid": lambda person: forged(person, sid=None),
    "foreign sid": lambda person: forged(person, sid="ses_nobody"),
    "foreign sub": lambda person: forged(person, sub="usr_nobody"),
    "the refresh token": lambda person: person.refresh_token,
    "a reset token": lambda person: one_time_tokens.issue_one_time_token(person.user, OneTimeToken.Purpose.RESET),
    "a second factor's token": lambda person: f"mfa_{'a' * 43}",
    "an invitation's token": lambda person: f"it_{'a' * 43}",
    "the cookie": lambda person: person.cookie_key,
    "64 KB": lambda person: "a" * 65_536,
    "not latin": lambda person: "\xff\xfe.\xe9.\x80",
    "empty": lambda person: "",
    "two tokens": lambda person: f"{person.token}, Bearer {person.token}",
}


DOORS = {
    "product": (ME, "customer"),
    "parity": ("/auth/me", "customer"),
    "admin_ops": ("/api/admin/users", "staff_member"),
    "webhooks": ("/api/webhooks/logs", "staff_member"),
}


@pytest.mark.parametrize("name", FORGERIES)
@pytest.mark.parametrize("door", DOORS)
def test_a_token_that_is_not_ours_is_refused(
    service, customer: Person, staff_member: Person, settings, door: str, name: str
) -> None:
    settings.WEBHOOKS_OPEN_OPERATOR_API = False
    path, who = DOORS[door]
    person = customer if who == "customer" else staff_member
    assert service(door).get(path, token=person.token).status_code == 200

    answer = service(door).get(path, headers=bearer(FORGERIES[name](person)))

    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_schemes_case_does_not_matter(product, customer: Person, other: Person, scheme: str) -> None:
    product.cookies["saas_session"] = other.cookie_key

    answer = product.get(ME, headers={"Authorization": f"{scheme} {customer.token}"})

    assert answer.json()["user"]["id"] == customer.user.id


@pytest.mark.parametrize("header", ["Basic a2ltOmtpbQ==", "Token abc", "", "Bearer", "\xff"])
def test_another_scheme_beside_a_good_cookie_is_refused(product, customer: Person, header: str) -> None:
    product.cookies["saas_session"] = customer.cookie_key

    assert product.get(ME, headers={"Authorization": header}).status_code == 401


def test_a_token_in_the_query_is_ignored(product: ServiceClient, customer: Person) -> None:
    assert product.get(f"{ME}?access_token={customer.token}").status_code == 401


def test_logging_out_with_a_token_whose_session_is_over_is_done_already(
    product: ServiceClient, customer: Person
) -> None:
    assert product.post("/api/auth/logout", token=customer.token).status_code == 204
    assert product.post("/api/auth/logout", token=customer.token).status_code == 204
    assert product.get(ME, token=customer.token).status_code == 401


def test_logging_out_with_an_expired_token_ends_its_session(product: ServiceClient, customer: Person) -> None:
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1)):
        assert product.get(ME, token=customer.token).status_code == 401
        assert product.post("/api/auth/logout", token=customer.token).status_code == 204

    assert LoginSession.objects.get(sid=customer.session_id).revoked_at is not None


@pytest.mark.parametrize(
    ("claim", "seconds", "status"),
    [
        ("iat", 1, 200), ("iat", 29, 200), ("iat", 35, 401),
        ("nbf", 1, 200), ("nbf", 29, 200), ("nbf", 35, 401),
        ("exp", -1, 200), ("exp", -29, 200), ("exp", -35, 401),
    ],
)  # fmt: skip
def test_a_token_of_a_clock_that_differs_a_little_is_taken(
    product, customer: Person, claim: str, seconds: int, status: int
) -> None:
    """Half a minute either way (T93)."""
    now = datetime.now(UTC)
    with time_machine.travel(now, tick=False):
        token = forged(customer, **{claim: int(now.timestamp()) + seconds})

        assert product.get(ME, token=token).status_code == status


@pytest.mark.parametrize("name", [name for name in FORGERIES if name != "exp past"])
def test_logging_out_with_a_token_that_is_not_ours_is_refused(product, customer: Person, name: str) -> None:
    assert product.post("/api/auth/logout", headers=bearer(FORGERIES[name](customer))).status_code == 401
    assert LoginSession.objects.get(sid=customer.session_id).revoked_at is None


def test_an_expired_token_is_good_for_nothing_but_logging_out(product: ServiceClient, customer: Person) -> None:
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1)):
        assert product.post("/api/auth/logout-all", token=customer.token).status_code == 401
    assert str(tokens.read_access_token_for_logout(customer.token, Audience.CUSTOMER)["sid"]) == customer.session_id


@pytest.mark.parametrize("path", ["register", "login", "refresh", "oauth/oidc/callback"])
@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/json; charset=utf-16",
    ],
)
def test_only_json_in_utf8_is_read(product, idp, path: str, content_type: str) -> None:
    answer = product.post(f"/api/auth/{path}", raw=b'{"email":"a@example.org"}', content_type=content_type)

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "http://localhost.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["register", "login", "refresh", "oauth/oidc/callback"])
def test_a_page_of_another_site_may_not_write(product, customer: Person, path: str, headers: dict[str, str]) -> None:
    answer = product.post(f"/api/auth/{path}", {"email": customer.user.email, "password": PASSWORD}, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed")
    assert not answer.cookies


@pytest.mark.parametrize("header", ["User-Agent", "X-Request-ID", "X-Forwarded-For", "Cookie", "Accept", "X-CSRFToken"])
@pytest.mark.parametrize(
    "value", ["\x00", "\xff" * 400, "a" * 5000, "\r\nSet-Cookie: a=b", "saas_session=\xff\x00;;=;,"]
)
def test_hostile_headers_do_not_break_a_login(product, customer: Person, header: str, value: str) -> None:
    answer = product.post(
        "/api/auth/login", {"email": customer.user.email, "password": PASSWORD}, headers={header: value}
    )

    assert answer.status_code == (406 if header == "Accept" else 200)
    assert answer.headers["X-Request-ID"].startswith("req_")


@pytest.mark.parametrize("query", ["state=%00", "state=%ff", "state=%ed%a0%80", "return_to=%00"])
@pytest.mark.parametrize("path", ["oauth/oidc", "oauth/oidc/callback", "me", "csrf"])
def test_a_query_that_is_no_text_is_refused_everywhere(product, idp, path: str, query: str) -> None:
    answer = product.get(f"/api/auth/{path}?{query}")

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


@pytest.mark.parametrize(
    ("path", "status"), [("oauth/oidc", 307), ("oauth/oidc/callback", 422), ("me", 401), ("csrf", 200)]
)
def test_a_state_that_is_too_long_is_read_only_where_one_is_expected(product, idp, path: str, status: int) -> None:
    answer = product.get(f"/api/auth/{path}?state={'a' * 6000}")

    assert answer.status_code == status
    assert "a" * 100 not in answer.headers.get("Location", "")


@pytest.mark.parametrize(
    "value",
    [None, 5, True, [], {}, ["a@example.org"], "a@example.org,b@example.org", "a@example.org\r\nBcc: b@example.org"],
)
def test_an_address_that_is_none_registers_nobody(product: ServiceClient, value: Any) -> None:
    answer = product.post("/api/auth/register", {"email": value, "password": PASSWORD})

    assert answer.status_code == 422
    assert not User.objects.exists()
    assert not Mail.objects.exists()


@pytest.mark.parametrize(
    "address",
    [
        "\u212aim@example.org",
        "k\u0131m@example.org",
        "\u017fam@example.org",
        "kim@example.org.",
        "kim@[127.0.0.1]",
        "kim@1.2.3.4",
    ],
)
def test_a_look_alike_address_is_refused_and_never_written_to(product: ServiceClient, address: str) -> None:
    answer = product.post("/api/auth/register", {"email": address, "password": PASSWORD})

    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["email"])
    assert not Mail.objects.exists()


def test_an_address_of_the_greatest_length_is_accepted() -> None:
    address = f"{'k' * 64}@{'a.' * 91}example"

    assert len(address) == 254
    assert email_addresses.canonical_email(address) == address


@pytest.mark.parametrize("address", [f"{'k' * 64}@{'a.' * 91}examples", f"{'k' * 65}@a.example"], ids=["255", "65"])
def test_a_longer_address_is_refused(address: str) -> None:
    with pytest.raises(email_addresses.InvalidAddress):
        email_addresses.canonical_email(address)


# Who is written to: a domain of other letters is another domain, other letters before it are no address.
LOOK_ALIKES: dict[str, set[str]] = {
    "\u212aim@example.org": set(),
    "k\u0131m@example.org": set(),
    "kim@ex\u0430mple.org": {"kim@xn--exmple-4nf.org"},
    "KIM\u2024@example.org": set(),
}


@pytest.mark.parametrize("address", LOOK_ALIKES)
def test_a_look_alike_of_an_address_is_never_taken_for_it(product, other: Person, address: str) -> None:
    user_factories.create_customer(email="kim@example.org")
    Mail.objects.all().delete()
    team = create_team(with_verified_email(other))

    login = product.post("/api/auth/login", {"email": address, "password": PASSWORD})
    product.post("/api/auth/password/forgot", {"email": address})
    product.post(f"/api/teams/{team.pk}/invitations", {"email": address, "role": "member"}, token=other.token)
    product.post("/api/auth/register", {"email": address, "password": PASSWORD})

    assert (login.status_code, login.json()["code"]) == (401, "invalid_credentials")
    recipients = set(Mail.objects.values_list("recipient", flat=True))
    assert recipients - {other.user.email} == LOOK_ALIKES[address]


def test_mail_to_a_domain_in_other_letters_goes_to_that_domain(product: ServiceClient) -> None:
    product.post("/api/auth/register", {"email": "Kim@stra\xdfe.example", "password": PASSWORD})

    assert Mail.objects.get().recipient == "Kim@xn--strae-oqa.example"
    taken = product.post("/api/auth/register", {"email": "kim@STRA\u1e9eE.example", "password": PASSWORD})
    assert (taken.status_code, taken.json()["code"]) == (409, "email_taken")


def test_fields_that_are_nobodys_to_set_are_ignored(product: ServiceClient) -> None:
    wishes = {
        "is_staff": True, "is_superuser": True, "role": "admin", "is_verified": True, "id": "usr_mine",
        "status": "disabled", "token_epoch": 7, "email_verified_at": "2020-01-01",
    }  # fmt: skip

    answer = product.post("/api/auth/register", {"email": "kim@example.org", "password": PASSWORD, **wishes})

    assert answer.status_code == 201
    user = User.objects.get()
    assert (user.is_staff, user.is_superuser, user.status, user.token_epoch) == (False, False, "active", 0)
    assert user.id != "usr_mine"
    assert user.email_verified_at is None


UNSETTABLE = {
    "is_staff": True, "is_superuser": True, "role": "admin", "roles": ["admin"], "is_verified": True, "id": "x",
    "status": "disabled", "token_epoch": 7, "email_verified_at": "2020-01-01",
    "password_hash": "x", "user_id": "usr_x", "owner_id": "usr_x", "plan": "scale", "price": 0,
    "amount": 0, "currency": "xxx",
}  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PATCH", "/api/users/profile", {"display_name": "Kim"}, 200),
        ("PUT", "/api/users/profile", {"display_name": "Kim"}, 200),
        ("POST", "/api/teams", {"name": "Engineering"}, 201),
        ("POST", "/api/subscriptions/checkout", {"plan_id": "starter", "currency": "usd"}, 201),
    ],
)
def test_fields_that_nobody_may_set_are_ignored_wherever_they_are_sent(
    product, customer: Person, method: str, path: str, body: dict[str, Any], status: int
) -> None:
    before = User.objects.filter(pk=customer.user.pk).values().get()

    answer = product.send(method, path, {**UNSETTABLE, **body}, token=customer.token)

    assert answer.status_code == status
    assert User.objects.filter(pk=customer.user.pk).values().get() == before
    assert not {"password_hash", "token_epoch"} & set(str(answer.json()).replace("'", " ").split())
    assert "usr_x" not in answer.content.decode()
    assert set(Subscription.objects.values_list("plan_id", flat=True)) <= {"starter"}


def test_the_public_keys_verify_a_token_in_any_language(product: ServiceClient, customer: Person) -> None:
    answer = product.get("/.well-known/jwks.json")

    assert answer.headers["Cache-Control"] == "public, max-age=300"
    (jwk,) = answer.json()["keys"]
    assert set(jwk) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    claims = jwt.decode(customer.token, jwt.PyJWK(jwk).key, ["ES256"], audience="saas", issuer="http://localhost:8000")
    assert (claims["sub"], claims["amr"]) == (customer.user.id, ["pwd"])


def test_every_module_of_product_works(product: ServiceClient) -> None:
    modules = product.get("/api/health/modules").json()["modules"]

    assert {module["module"]: module["status"] for module in modules} == dict.fromkeys(
        ["auth-core", "session", "oauth", "users-core", "users-profiles", "rate-limiting"], "ok"
    )


def test_the_settings_module_notices_a_missing_secret(settings) -> None:
    from saas.operations.health import SETTINGS

    SETTINGS.check()
    settings.AUTH_PEPPER = ""

    with pytest.raises(RuntimeError, match="AUTH_PEPPER"):
        SETTINGS.check()
