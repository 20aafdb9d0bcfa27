"""Login, sessions and logout of staff, apart from customers."""

from datetime import timedelta

import pytest
import time_machine

from saas.accounts.models import LoginSession, StaffRole
from saas.accounts.staff import staff_administration
from saas.errors import Invalid
from saas.testing.factories import user_factories
from saas.testing.factories.user_factories import PASSWORD


def login(admin_ops, person, password=PASSWORD):
    return admin_ops.post("/api/admin/auth/login", {"email": person.user.email, "password": password})


def test_logging_in_answers_with_the_tokens_the_role_and_the_cookie(admin_ops, staff_member):
    answer = login(admin_ops, staff_member)

    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {
        "user", "access_token", "token_type", "expires_in", "refresh_token", "session_id", "role", "roles",
        "mfa_enrolment_required",
    }  # fmt: skip
    assert body["role"] == "admin"
    assert body["token_type"] == "bearer"
    assert body["expires_in"] == 300
    cookie = answer.cookies["saas_admin_session"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert (
        admin_ops.get("/api/admin/auth/me").json()["user"]["email"] == staff_member.user.email
    )  # by the cookie just set


def test_a_customer_and_a_wrong_password_are_refused_alike(admin_ops, staff_member, customer):
    wrong = login(admin_ops, staff_member, "not the password")
    by_customer = login(admin_ops, customer)

    assert wrong.status_code == by_customer.status_code == 401
    assert wrong.json()["code"] == by_customer.json()["code"] == "invalid_credentials"
    assert wrong.json()["detail"] == by_customer.json()["detail"] == "Invalid credentials"
    assert not wrong.cookies
    assert not by_customer.cookies


@pytest.mark.parametrize(("name", "path"), [("product", "/api/auth/login"), ("parity", "/auth/login")])
def test_staff_are_refused_where_customers_log_in(service, staff_member, name, path):
    client = service(name)
    if client.post(path, {}).status_code == 404:
        pytest.skip(f"{name} has no login yet")

    answer = client.post(path, {"email": staff_member.user.email, "password": PASSWORD})

    assert answer.status_code == 401
    assert answer.json()["code"] == "invalid_credentials"


def test_tokens_and_cookies_of_the_other_audience_open_nothing(admin_ops, product, customer, staff_member):
    assert admin_ops.get("/api/admin/auth/me", token=customer.token).status_code == 401
    assert product.get("/api/auth/me", token=staff_member.token).status_code == 401

    admin_ops.cookies["saas_admin_session"] = customer.cookie_key
    product.cookies["saas_session"] = staff_member.cookie_key

    assert admin_ops.get("/api/admin/auth/me").status_code == 401
    assert product.get("/api/auth/me").status_code == 401


def test_a_refresh_token_of_the_other_audience_is_refused_and_not_spent(admin_ops, product, customer, staff_member):
    assert admin_ops.post("/api/admin/auth/refresh", {"refresh_token": customer.refresh_token}).status_code == 401
    assert product.post("/api/auth/refresh", {"refresh_token": staff_member.refresh_token}).status_code == 401

    assert admin_ops.post("/api/admin/auth/refresh", {"refresh_token": staff_member.refresh_token}).status_code == 200
    assert product.post("/api/auth/refresh", {"refresh_token": customer.refresh_token}).status_code == 200


@pytest.mark.parametrize(
    ("roles", "highest"),
    [
        ([StaffRole.SUPPORT_READ], "support-read"),
        ([StaffRole.AUDITOR, StaffRole.SUPPORT_WRITE], "support-write"),
        ([StaffRole.SUPPORT_READ, StaffRole.ADMIN], "admin"),
    ],
)
def test_role_is_the_highest_of_a_users_roles(admin_ops, db, roles, highest):
    person = user_factories.create_staff_member("", *roles)

    assert login(admin_ops, person).json()["role"] == highest


def test_me_lists_what_the_roles_allow(admin_ops, db):
    auditor = user_factories.create_staff_member("", StaffRole.AUDITOR)

    body = admin_ops.get("/api/admin/auth/me", token=auditor.token).json()

    assert body["roles"] == ["auditor"]
    assert body["permissions"] == ["audit.read", "billing.read", "metrics.read", "users.read", "webhooks.read"]


def test_a_role_that_was_taken_away_is_gone_on_the_next_request(admin_ops, db):
    auditor = user_factories.create_staff_member("", StaffRole.AUDITOR)
    assert admin_ops.get("/api/admin/audit", token=auditor.token).status_code == 200

    auditor.user.groups.clear()

    assert admin_ops.get("/api/admin/audit", token=auditor.token).status_code == 403


def test_the_sessions_of_former_staff_are_refused(admin_ops, staff_member):
    type(staff_member.user).objects.filter(pk=staff_member.user.pk).update(is_staff=False)

    assert admin_ops.get("/api/admin/users", token=staff_member.token).status_code == 403


def test_logging_out_ends_token_and_cookie(admin_ops, staff_member):
    assert admin_ops.post("/api/admin/auth/logout", token=staff_member.token).status_code == 204

    admin_ops.cookies["saas_admin_session"] = staff_member.cookie_key
    assert admin_ops.get("/api/admin/auth/me").status_code == 401
    assert admin_ops.get("/api/admin/auth/me", token=staff_member.token).status_code == 401


def test_writing_by_cookie_needs_the_csrf_token(admin_ops, staff_member, customer):
    login(admin_ops, staff_member)
    path = f"/api/admin/users/{customer.user.id}/ban"

    without = admin_ops.put(path, {"reason": "spam"})
    token = admin_ops.get("/api/admin/auth/csrf").json()["csrf_token"]
    with_token = admin_ops.put(path, {"reason": "spam"}, headers={"X-CSRFToken": token})

    assert without.status_code == 403
    assert without.json()["code"] == "csrf_failed"
    assert with_token.status_code == 200


@pytest.mark.parametrize("page", ["/api/admin/auth/me", "/admin/"])
@pytest.mark.parametrize(
    ("is_used", "after", "status"),
    [
        (False, timedelta(minutes=14 + 15, seconds=-1), 200),
        (False, timedelta(minutes=14 + 15), 401),
        (True, timedelta(hours=8, seconds=-1), 200),
        (True, timedelta(hours=8), 401),
    ],
)
def test_a_staff_session_ends_idle_after_15_minutes_or_after_8_hours(
    admin_ops, staff_member, is_used, after, status, page
):
    admin_ops.cookies["saas_admin_session"] = staff_member.cookie_key
    session = LoginSession.objects.get(sid=staff_member.session_id)

    with time_machine.travel(session.created_at + timedelta(minutes=14), tick=False):
        assert admin_ops.get(page).status_code == 200
    if is_used:
        LoginSession.objects.filter(pk=session.pk).update(expire_date=session.created_at + timedelta(days=1))

    with time_machine.travel(session.created_at + after, tick=False):
        assert admin_ops.get("/api/admin/auth/me").status_code == status


def test_staffs_access_token_lives_5_minutes_and_the_refresh_token_30(admin_ops, staff_member):
    def refresh(token):
        return admin_ops.post("/api/admin/auth/refresh", {"refresh_token": token})

    login = LoginSession.objects.get(sid=staff_member.session_id)
    with time_machine.travel(login.created_at, tick=False) as clock:
        pair = refresh(staff_member.refresh_token).json()
        clock.shift(5 * 60 + 29)  # half a minute, by which the clocks of two machines may differ
        assert admin_ops.get("/api/admin/auth/me", token=pair["access_token"]).status_code == 200
        clock.shift(2)
        assert admin_ops.get("/api/admin/auth/me", token=pair["access_token"]).status_code == 401
        clock.move_to(login.created_at + timedelta(minutes=30, microseconds=-1))
        again = refresh(pair["refresh_token"])
        assert again.status_code == 200
        clock.move_to(login.created_at + timedelta(hours=1))
        assert refresh(again.json()["refresh_token"]).status_code == 401

    assert login.ends_at - login.created_at == timedelta(hours=8)


@time_machine.travel("2030-01-01T00:00:00Z", tick=False)  # all within one minute
def test_staff_log_in_ten_times_a_minute_from_one_address_and_no_more(admin_ops, staff_member, settings):
    settings.RATE_LIMIT_SCALE = 1
    attempts = [{"email": f"nobody{number}@example.net", "password": "x"} for number in range(10)]

    answers = [admin_ops.post("/api/admin/auth/login", body).status_code for body in attempts]
    refused = login(admin_ops, staff_member)

    assert answers == [401] * 10
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")


def test_a_weak_password_is_refused_for_new_staff(db):
    with pytest.raises(Invalid):
        staff_administration.create_staff(email="new@example.net", password="short", full_name="", by="system")
