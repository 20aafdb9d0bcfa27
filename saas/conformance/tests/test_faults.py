"""The kit is red on a service with one fault, and says where: each of these is Product, or Parity, but for one thing."""

import re
from collections.abc import Callable

import httpx
import pytest

from saas.conformance.runner import ServiceUnderTest, run_rules
from saas.conformance.tests import faulty
from saas.testing.servers.in_process import service_transport

# (what is wrong, how it is made wrong, the rules that must see it)
FAULTS: list[tuple[str, Callable[[], faulty.Fault], set[str]]] = [
    ("a wrong status", lambda: faulty.answering("/auth/register", 201, status=200), {"register"}),
    (
        "a field is missing",
        lambda: faulty.rewriting(200, lambda text: re.sub(r'"is_verified":\w+,', "", text)),
        {"login", "me"},
    ),
    (
        "a field in the wrong case",
        lambda: faulty.rewriting(200, lambda text: text.replace("display_name", "displayName"), "/profile"),
        {"profile"},
    ),
    (
        "a field of the wrong type",
        lambda: faulty.rewriting(200, lambda text: re.sub(r'"expires_in":(\d+)', r'"expires_in":"\1"', text)),
        {"login", "refresh"},
    ),
    (
        "an id without its prefix",
        lambda: faulty.rewriting(200, lambda text: text.replace('"usr_', '"')),
        {"login", "profile"},
    ),
    (
        "a wrong token_type",
        lambda: faulty.rewriting(200, lambda text: text.replace('"bearer"', '"Token"'), "/auth/login"),
        {"login"},
    ),
    (
        "a password hash is told",
        lambda: faulty.rewriting(200, lambda text: text.replace('"locale"', '"password_hash":"x","locale"')),
        {"login", "me"},
    ),
    (
        "a time without its zone",
        lambda: faulty.rewriting(200, lambda text: re.sub(r"(\d\d:\d\d:\d\d[.\d]*)Z", r"\1", text)),
        {"profile"},
    ),
    ("a token outlives its session", lambda: faulty.Remembering("/auth/me"), {"logout-by-cookie"}),
    (
        "a session cannot be ended",
        lambda: faulty.LettingTokensLive("DELETE", "/auth/sessions/"),
        {"session-end", "session-of-a-stranger"},
    ),
    ("logging out does nothing", lambda: faulty.LettingTokensLive("POST", "/auth/logout"), {"logout", "logout-all"}),
    ("a refresh token is not rotated", lambda: faulty.not_rotating, {"refresh"}),
    ("a refresh token works twice", lambda: faulty.Remembering("/auth/refresh"), {"refresh-once"}),
    (
        "a cookie that scripts can read",
        lambda: faulty.with_headers(" HttpOnly;", "Set-Cookie", ""),
        {"login", "register"},
    ),
    (
        "a problem by another name",
        lambda: faulty.with_headers(r"problem\+json", "Content-Type", "json"),
        {"anonymous", "fields", "unknown-route"},
    ),
    (
        "a rejected form without its fields",
        lambda: faulty.rewriting(422, lambda text: text.replace('"errors"', '"mistakes"')),
        {"fields", "register-missing"},
    ),
    (
        "an error without a code",
        lambda: faulty.rewriting(401, lambda text: text.replace('"code"', '"kind"')),
        {"anonymous", "bad-token"},
    ),
    ("logging out again is refused", faulty.second_logout_refused, {"logout-again"}),
    (
        "a request id of its own",
        lambda: faulty.with_headers(".+", "X-Request-ID", "always-this", 200),
        {"request-id"},
    ),
    ("no request id", lambda: faulty.with_headers(".+", "X-Request-ID", ""), {"me", "request-id"}),
    ("a bad bearer falls back to the cookie", lambda: faulty.falling_back, {"no-fallback"}),
    ("a cookie writes without the CSRF token", lambda: faulty.without_csrf, {"csrf", "logout-by-cookie"}),
    ("405 without Allow", lambda: faulty.answering("/auth/login", 405, allow=""), {"wrong-method"}),
    (
        "401 without a challenge",
        lambda: faulty.answering("/auth/me", 401, www_authenticate=""),
        {"anonymous", "bad-token"},
    ),
    ("an address is told to be unknown", lambda: faulty.answering("/auth/login", 401, status=404), {"login-refused"}),
    (
        "half a login tells whose it is",
        lambda: faulty.rewriting(200, lambda text: text.replace('{"mfa_required"', '{"user":{},"mfa_required"')),
        {"second-factor"},
    ),
    (
        "a forgotten password is answered by another status",
        lambda: faulty.answering("/auth/password/forgot", 202, status=200),
        {"forgot"},
    ),
    (
        "answers that caches may keep",
        lambda: faulty.answering("/auth/me", 200, cache_control="public"),
        {"not-kept"},
    ),
]


def found_red(service: str, convention: str, fault: faulty.Fault, rules: set[str]) -> dict[str, list[str]]:
    """The rules that a service with this fault breaks, each with what the kit says of it."""
    with httpx.Client(
        base_url="http://localhost/api", transport=faulty.Faulty(service_transport(service), fault)
    ) as client:
        results = run_rules(ServiceUnderTest(client, convention), only=rules)
        return {result.rule.id: result.faults for result in results if not result.holds}


@pytest.mark.parametrize(("fault", "rules"), [case[1:] for case in FAULTS], ids=[case[0] for case in FAULTS])
def test_a_service_with_a_fault_is_red_where_it_has_it(db: None, fault, rules: set[str]) -> None:
    red = found_red("product", "snake", fault(), rules | {"health"})

    assert set(red) - {"health"} == rules
    assert [rule for rule, said in red.items() if not said] == []


def test_a_service_that_reads_the_other_conventions_names_is_red(db: None) -> None:
    assert set(found_red("product", "snake", faulty.taking_both_conventions, {"other-names"})) == {"other-names"}


def test_a_camel_case_service_with_snake_case_error_fields_fails(db: None) -> None:
    told = faulty.rewriting(422, lambda text: text.replace("displayName", "display_name"))

    red = found_red("parity", "camel", told, {"fields", "register-missing"})

    assert set(red) == {"fields"}
    assert "(display_name)" in str(red)


def test_the_same_service_without_a_fault_is_green(db: None) -> None:
    every = set().union(*(rules for _, _, rules in FAULTS))

    assert found_red("product", "snake", lambda request, forward: forward(request), every) == {}


def test_a_peer_that_does_not_see_a_logout_is_red(db: None) -> None:
    url, rules = "http://localhost/api", {"shared-token", "shared-logout"}
    blind = faulty.Faulty(service_transport("parity"), faulty.Remembering("/auth/me"))
    with (
        httpx.Client(base_url=url, transport=service_transport("product")) as here,
        httpx.Client(
            base_url=url, transport=faulty.Faulty(blind, faulty.LettingTokensLive("POST", "/auth/logout"))
        ) as there,
    ):
        results = list(run_rules(ServiceUnderTest(here, "snake"), peer=ServiceUnderTest(there, "camel"), only=rules))

    assert {result.rule.id: result.holds for result in results} == {"shared-token": True, "shared-logout": False}
