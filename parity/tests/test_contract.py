"""The authentication contract at Parity: every route, in camelCase, with and without ``/api``."""

import pytest

from saas.accounts.models import User
from saas.testing.clients import ServiceClient
from saas.testing.factories.user_factories import PASSWORD, Person

PREFIXES = ["", "/api"]
LOGIN_FIELDS = {"user", "access_token", "token_type", "expires_in", "refresh_token", "sessionId"}
USER_FIELDS = {"id", "email", "fullName", "locale", "status", "isVerified", "createdAt", "updatedAt"}


@pytest.fixture(params=PREFIXES, ids=["no prefix", "api"])
def prefix(request: pytest.FixtureRequest) -> str:
    return request.param


def test_registering_answers_in_camel_case_but_for_the_names_of_oauth(parity: ServiceClient, prefix: str) -> None:
    answer = parity.post(
        f"{prefix}/auth/register",
        {"email": "user@example.com", "password": "SecurePass123!", "fullName": "Test User"},
    )

    assert answer.status_code == 201
    assert set(answer.json()) == LOGIN_FIELDS
    assert set(answer.json()["user"]) == USER_FIELDS
    assert answer.json()["user"]["fullName"] == "Test User"
    assert answer.cookies["saas_session"]["httponly"]


def test_logging_in_and_being_recognised(parity: ServiceClient, customer: Person, prefix: str) -> None:
    answer = parity.post(f"{prefix}/auth/login", {"email": customer.user.email, "password": PASSWORD})
    me = parity.get(f"{prefix}/auth/me", token=answer.json()["access_token"])

    assert answer.status_code == 200
    assert set(answer.json()) == LOGIN_FIELDS
    assert me.json() == {"user": answer.json()["user"], "impersonation": None}


def test_a_refresh_token_goes_in_under_its_oauth_name(parity: ServiceClient, customer: Person, prefix: str) -> None:
    camel_case = parity.post(f"{prefix}/auth/refresh", {"refreshToken": customer.refresh_token})
    by_oauth = parity.post(f"{prefix}/auth/refresh", {"refresh_token": customer.refresh_token})

    assert (camel_case.status_code, set(camel_case.json()["errors"])) == (422, {"refresh_token"})
    assert by_oauth.status_code == 200
    assert set(by_oauth.json()) == LOGIN_FIELDS


def test_the_profile_is_read_and_set_in_camel_case(parity: ServiceClient, customer: Person, prefix: str) -> None:
    before = parity.get(f"{prefix}/users/profile", token=customer.token).json()
    put = parity.put(f"{prefix}/users/profile", {"displayName": "Kim", "marketingOptIn": True}, token=customer.token)
    patch = parity.patch(f"{prefix}/users/profile", {"biography": "Hello"}, token=customer.token)

    assert set(before) == {
        "userId", "displayName", "avatarUrl", "timezone", "biography", "socialLinks", "fullName", "locale",
        "marketingOptIn", "visibility", "metadata", "createdAt", "updatedAt",
    }  # fmt: skip
    assert (put.status_code, patch.status_code) == (200, 200)
    assert patch.json() == {
        **before,
        "displayName": "Kim",
        "marketingOptIn": True,
        "biography": "Hello",
        "updatedAt": patch.json()["updatedAt"],
    }


def test_devices_are_listed_and_ended_one_by_one(parity: ServiceClient, customer: Person, prefix: str) -> None:
    second = parity.post(f"{prefix}/auth/login", {"email": customer.user.email, "password": PASSWORD}).json()
    listed = parity.get(f"{prefix}/auth/sessions", token=customer.token).json()["sessions"]
    ended = parity.delete(f"{prefix}/auth/sessions/{second['sessionId']}", token=customer.token)

    assert {row["id"]: row["current"] for row in listed} == {customer.session_id: True, second["sessionId"]: False}
    assert set(listed[0]) == {"id", "agent", "address", "createdAt", "lastSeenAt", "current"}
    assert ended.status_code == 204
    assert parity.get(f"{prefix}/auth/me", token=second["access_token"]).status_code == 401
    assert parity.get(f"{prefix}/auth/me", token=customer.token).status_code == 200


def test_a_strangers_device_is_not_there(parity: ServiceClient, customer: Person, other: Person, prefix: str) -> None:
    answer = parity.delete(f"{prefix}/auth/sessions/{other.session_id}", token=customer.token)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert parity.get(f"{prefix}/auth/me", token=other.token).status_code == 200


def test_logging_out_ends_this_device_or_all(parity: ServiceClient, customer: Person, prefix: str) -> None:
    second = parity.post(f"{prefix}/auth/login", {"email": customer.user.email, "password": PASSWORD}).json()
    third = parity.post(f"{prefix}/auth/login", {"email": customer.user.email, "password": PASSWORD}).json()

    assert parity.post(f"{prefix}/auth/logout", token=customer.token).status_code == 204
    assert parity.get(f"{prefix}/auth/me", token=customer.token).status_code == 401
    assert parity.get(f"{prefix}/auth/me", token=second["access_token"]).status_code == 200
    assert parity.post(f"{prefix}/auth/logout-all", token=second["access_token"]).status_code == 204
    assert parity.get(f"{prefix}/auth/me", token=third["access_token"]).status_code == 401


def test_a_cookie_client_writes_with_paritys_own_csrf_token(
    parity: ServiceClient, customer: Person, prefix: str
) -> None:
    parity.cookies["saas_session"] = customer.cookie_key

    refused = parity.patch(f"{prefix}/users/profile", {"biography": "Hello"})
    token = parity.get(f"{prefix}/auth/csrf")
    accepted = parity.patch(
        f"{prefix}/users/profile", {"biography": "Hello"}, headers={"X-CSRFToken": token.json()["csrfToken"]}
    )

    assert (refused.status_code, refused.json()["code"]) == (403, "csrf_failed")
    assert "parity_csrf" in token.cookies
    assert accepted.status_code == 200


def test_a_snake_case_name_is_an_unknown_field_and_is_not_applied(
    parity: ServiceClient, customer: Person, prefix: str
) -> None:
    answer = parity.put(
        f"{prefix}/users/profile",
        {"display_name": "Not this", "displayName": "But this", "DisplayName": "Nor this", "isStaff": True},
        token=customer.token,
    )
    only_unknown = parity.patch(
        f"{prefix}/users/profile", {"marketing_opt_in": True, "user_id": "x"}, token=customer.token
    )

    assert answer.json()["displayName"] == "But this"
    assert only_unknown.status_code == 200
    assert only_unknown.json()["marketingOptIn"] is False
    assert not User.objects.get(pk=customer.user.pk).is_staff


def test_a_rejected_form_names_its_fields_in_camel_case(parity: ServiceClient, customer: Person, prefix: str) -> None:
    answer = parity.patch(
        f"{prefix}/users/profile",
        {"displayName": 7, "marketingOptIn": "yes", "socialLinks": {"my_site": 7}, "avatarUrl": "ftp://example.net"},
        token=customer.token,
    )

    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert set(answer.json()["errors"]) == {"displayName", "marketingOptIn", "socialLinks.my_site", "avatarUrl"}
    assert "request_id" in answer.json()  # the document itself has one form in all services (decision 6)


def test_a_refusal_of_the_domain_names_its_fields_in_camel_case(parity: ServiceClient, prefix: str) -> None:
    answer = parity.post(f"{prefix}/auth/register", {"email": "no address", "password": "SecurePass123!"})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_email")
    assert set(answer.json()["errors"]) == {"email"}
    assert User.objects.count() == 0


def test_the_names_of_social_links_are_the_persons_own(parity: ServiceClient, customer: Person, prefix: str) -> None:
    links = {"my_site": "https://example.net", "gitHub": "https://github.com/kim", "access_token": "https://a.example"}

    answer = parity.put(f"{prefix}/users/profile", {"socialLinks": links}, token=customer.token)

    assert answer.json()["socialLinks"] == links
    assert parity.get(f"{prefix}/users/profile", token=customer.token).json()["socialLinks"] == links


@pytest.mark.parametrize(("count", "status"), [(10, 200), (11, 422)])
def test_a_profile_has_at_most_ten_social_links(parity, customer: Person, prefix: str, count: int, status: int) -> None:
    links = {f"site{number}": "https://a.example" for number in range(count)}

    answer = parity.put(f"{prefix}/users/profile", {"socialLinks": links}, token=customer.token)

    assert answer.status_code == status


def test_a_staff_account_has_no_business_here(parity: ServiceClient, staff_member: Person, prefix: str) -> None:
    login = parity.post(f"{prefix}/auth/login", {"email": staff_member.user.email, "password": PASSWORD})
    refresh = parity.post(f"{prefix}/auth/refresh", {"refresh_token": staff_member.refresh_token})
    me = parity.get(f"{prefix}/auth/me", token=staff_member.token)
    parity.cookies["saas_session"] = staff_member.cookie_key
    by_cookie = parity.get(f"{prefix}/auth/me")

    assert (login.status_code, login.json()["detail"]) == (401, "Invalid credentials")
    assert [refresh.status_code, me.status_code, by_cookie.status_code] == [401, 401, 401]
    assert "saas_session" not in login.cookies


def test_me_costs_one_query(parity: ServiceClient, customer: Person, prefix: str, django_assert_num_queries) -> None:
    with django_assert_num_queries(1):
        assert parity.get(f"{prefix}/auth/me", token=customer.token).status_code == 200


def test_the_modules_of_the_starter_report_a_check_that_ran(parity: ServiceClient) -> None:
    listed = parity.get("/api/health/modules").json()["modules"]
    settings = parity.get("/api/health/module/settings")

    assert [module["module"] for module in listed] == [
        "auth-core", "session", "users-core", "users-profiles", "settings",
    ]  # fmt: skip
    assert {module["status"] for module in listed} == {"ok"}
    assert settings.status_code == 200
    assert parity.get("/api/health/module/oauth").status_code == 404


def test_health_is_a_platform_document_and_stays_in_snake_case(parity: ServiceClient) -> None:
    body = parity.get("/health").json()

    assert (body["service"], body["status"]) == ("parity", "ok")
    assert set(body) == {"status", "service", "version", "uptime_seconds"}
