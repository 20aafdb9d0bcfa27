"""The second factor of staff (T52), and removing a lost one."""

import re
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
import time_machine

from saas.accounts.models import LoginSession, RecoveryCode, StaffRole, Totp, User
from saas.accounts.staff import staff_administration
from saas.api import rate_limits
from saas.audit.models import AuditEvent
from saas.testing.factories import user_factories
from saas.testing.factories.user_factories import PASSWORD
from saas.testing.mails import deliver_queued_mails
from saas.testing.rate_limits import use_up

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def required(settings):
    settings.STAFF_MFA_REQUIRED = True


def log_in(admin_ops, person):
    return admin_ops.post("/api/admin/auth/login", {"email": person.user.email, "password": PASSWORD})


def code_of(secret):
    return pyotp.TOTP(secret).at(datetime.now(UTC))


def enrol(client, person, prefix="/api/admin/auth"):
    """Turns a second factor on; tells its secret and the login that comes of it."""
    secret = client.post(f"{prefix}/mfa/totp", token=person.token).json()["secret"]
    answer = client.post(f"{prefix}/mfa/totp/confirm", {"code": code_of(secret)}, token=person.token)
    assert answer.status_code == 200
    client.cookies.clear()
    return secret, answer.json()


def reset(admin_ops, by, person):
    body = {"reason": "lost the phone"}
    return admin_ops.post(f"/api/admin/users/{person.user.id}/mfa/reset", body, token=by.token)


# ── Staff owe one ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/admin/users"),
        ("GET", "/api/admin/users/usr_nobody"),
        ("PUT", "/api/admin/users/usr_nobody/ban"),
        ("GET", "/api/admin/audit"),
        ("GET", "/api/admin/health"),
    ],
)
def test_without_a_second_factor_staff_may_do_nothing(required, admin_ops, staff_member, method, path):
    answer = admin_ops.send(method, path, token=staff_member.token)

    assert (answer.status_code, answer.json()["code"]) == (403, "mfa_enrolment_required")


def test_without_a_second_factor_the_operator_api_refuses_staff(required, webhooks, staff_member, settings):
    settings.WEBHOOKS_OPEN_OPERATOR_API = False

    answer = webhooks.get("/api/webhooks/logs", token=staff_member.token)

    assert (answer.status_code, answer.json()["code"]) == (403, "mfa_enrolment_required")


def test_without_a_second_factor_staff_can_only_see_themselves_and_enrol(required, admin_ops, staff_member):
    assert log_in(admin_ops, staff_member).json()["mfa_enrolment_required"] is True
    assert admin_ops.get("/api/admin/auth/me", token=staff_member.token).status_code == 200

    _, fresh = enrol(admin_ops, staff_member)

    assert fresh["mfa_enrolment_required"] is False
    assert len(fresh["recovery_codes"]) == 10
    assert admin_ops.get("/api/admin/users", token=fresh["access_token"]).status_code == 200
    assert admin_ops.get("/api/admin/auth/me", token=staff_member.token).status_code == 401
    assert admin_ops.post("/api/admin/auth/logout", token=fresh["access_token"]).status_code == 204


def test_afterwards_the_login_asks_for_it(required, admin_ops, staff_member, clock):
    secret, _ = enrol(admin_ops, staff_member)
    clock.shift(timedelta(minutes=1))

    half = log_in(admin_ops, staff_member).json()
    assert set(half) == {"mfa_required", "mfa_token"}
    whole = admin_ops.post("/api/admin/auth/mfa/verify", {"mfa_token": half["mfa_token"], "code": code_of(secret)})

    assert admin_ops.get("/api/admin/users", token=whole.json()["access_token"]).status_code == 200


def test_setting_one_up_needs_a_login_of_the_last_minutes(required, admin_ops, staff_member, clock):
    clock.shift(timedelta(minutes=4))
    fresh = admin_ops.post("/api/admin/auth/refresh", {"refresh_token": staff_member.refresh_token}).json()[
        "access_token"
    ]
    clock.shift(timedelta(minutes=2))

    without = admin_ops.post("/api/admin/auth/mfa/totp", token=fresh)
    wrong = admin_ops.post("/api/admin/auth/mfa/totp", {"current_password": "wrong"}, token=fresh)
    right = admin_ops.post("/api/admin/auth/mfa/totp", {"current_password": PASSWORD}, token=fresh)

    assert (without.status_code, without.json()["code"]) == (403, "reauth_required")
    assert (wrong.status_code, right.status_code) == (422, 200)


def test_a_wrong_first_code_turns_nothing_on(required, admin_ops, staff_member):
    secret = admin_ops.post("/api/admin/auth/mfa/totp", token=staff_member.token).json()["secret"]

    wrong = f"{(int(code_of(secret)) + 1) % 1_000_000:06}"
    answer = admin_ops.post("/api/admin/auth/mfa/totp/confirm", {"code": wrong}, token=staff_member.token)

    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["code"])
    assert Totp.objects.get().confirmed_at is None


def test_customers_owe_none(required, product, customer):
    assert product.get("/api/auth/me", token=customer.token).status_code == 200


def test_where_it_is_not_required_staff_may_do_without(admin_ops, staff_member):
    assert admin_ops.get("/api/admin/users", token=staff_member.token).status_code == 200


def ask_for_first_code(admin_ops, person):
    """Log in on the page; return its answer and the secret that it shows."""
    admin_ops.get("/admin/login/")
    asked = admin_ops.submit_form("/admin/login/", {"username": person.user.email, "password": PASSWORD})
    return asked, re.findall(r"<code[^>]*>([A-Z2-7]{32})</code>", asked.content.decode())[0]


def test_the_admin_site_requires_enrolment_before_any_page(required, admin_ops, staff_member):
    asked, secret = ask_for_first_code(admin_ops, staff_member)
    assert asked.status_code == 200
    assert admin_ops.get("/admin/").status_code == 302  # to the login page

    wrong = admin_ops.submit_form("/admin/login/", {"first_code": "nonsense"})
    right = admin_ops.submit_form("/admin/login/", {"first_code": code_of(secret)})

    assert (wrong.status_code, b"This code is not right." in wrong.content) == (422, True)
    assert right.status_code == 200
    assert len(re.findall(r"<code[^>]*>[a-z0-9-]{19}</code>", right.content.decode())) == 10
    assert admin_ops.get("/admin/").status_code == 200


def test_guessing_the_first_code_on_the_admin_site_is_limited(required, admin_ops, staff_member, settings):
    _, secret = ask_for_first_code(admin_ops, staff_member)
    settings.RATE_LIMIT_SCALE = 1
    use_up(rate_limits.MFA)

    right = admin_ops.submit_form("/admin/login/", {"first_code": code_of(secret)})

    assert (right.status_code, Totp.objects.get().confirmed_at) == (429, None)


def test_a_first_code_that_is_typed_too_late_says_how_to_go_on(required, admin_ops, staff_member, monkeypatch):
    admin_ops.get("/admin/login/")
    admin_ops.submit_form("/admin/login/", {"username": staff_member.user.email, "password": PASSWORD})
    monkeypatch.setattr("saas.accounts.second_factor.SETUP_LIFETIME_SECONDS", -1)

    late = admin_ops.submit_form("/admin/login/", {"first_code": "123456"})

    assert (late.status_code, b"Log in again to begin anew." in late.content) == (409, True)
    assert admin_ops.get("/admin/").status_code == 302


def test_enrolment_on_the_admin_site_needs_a_login(required, admin_ops):
    admin_ops.get("/admin/login/")

    answer = admin_ops.submit_form("/admin/login/", {"first_code": "123456"})

    assert (answer.status_code, answer["Location"]) == (302, "/admin/login/")


# ── Staff remove one ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_lost_second_factor_is_removed_and_its_owner_notified(admin_ops, product, customer, staff_member):
    _, fresh = enrol(product, customer, "/api/auth")

    answer = reset(admin_ops, staff_member, customer)

    assert answer.status_code == 204
    assert not Totp.objects.exists()
    assert not RecoveryCode.objects.exists()
    assert product.get("/api/auth/me", token=fresh["access_token"]).status_code == 401
    login = product.post("/api/auth/login", {"email": customer.user.email, "password": PASSWORD})
    assert "access_token" in login.json()
    assert [mail.to for mail in deliver_queued_mails("mfa_reset")] == [[customer.user.email]]
    event = AuditEvent.objects.get(action="mfa.reset")
    assert (event.actor, event.target, event.reason) == (staff_member.user.id, customer.user.id, "lost the phone")


def test_the_owner_is_mailed_about_each_removed_second_factor(customer, staff_member, clock):
    for _ in range(2):
        Totp.objects.create(user=customer.user, sealed_secret="x", confirmed_at=NOW)
        staff_administration.reset_second_factor(customer.user, by=staff_member.user)
        clock.shift(timedelta(minutes=1))

    assert len(deliver_queued_mails("mfa_reset")) == 2


def test_where_there_is_none_nothing_happens(admin_ops, customer, staff_member):
    answer = reset(admin_ops, staff_member, customer)

    assert (answer.status_code, answer.json()["code"]) == (409, "mfa_not_enabled")
    assert LoginSession.objects.live().filter(user=customer.user).exists()
    assert User.objects.get(pk=customer.user.pk).token_epoch == customer.user.token_epoch


def test_support_removes_no_colleagues_second_factor(admin_ops, staff_member):
    helper = user_factories.create_staff_member("", StaffRole.SUPPORT_WRITE)
    enrol(admin_ops, staff_member)

    answer = reset(admin_ops, helper, staff_member)

    assert (answer.status_code, answer.json()["code"]) == (403, "staff_account")
    assert Totp.objects.get().confirmed_at is not None


def test_staff_cannot_remove_their_own_second_factor(admin_ops, staff_member):
    _, fresh = enrol(admin_ops, staff_member)

    answer = admin_ops.post(f"/api/admin/users/{staff_member.user.id}/mfa/reset", token=fresh["access_token"])

    assert (answer.status_code, answer.json()["code"]) == (409, "cannot_reset_own_factor")
    assert Totp.objects.get().confirmed_at is not None


def test_a_second_step_that_is_over_leads_back_to_the_login(admin_ops, db):
    admin_ops.get("/admin/login/")

    page = admin_ops.submit_form(
        "/admin/login/?next=/admin/accounts/user/", {"mfa_token": "mfa_over", "code": "123456"}
    )

    assert page.status_code == 401
    assert 'href="/admin/login/?next=%2Fadmin%2Faccounts%2Fuser%2F"' in page.content.decode()
    assert 'name="code"' not in page.content.decode()
