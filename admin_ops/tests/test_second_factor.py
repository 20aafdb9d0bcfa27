"""Staff have a second factor (T52), and help those who lost theirs."""

import re
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
import time_machine

from saas.accounts.models import LoginSession, RecoveryCode, Role, Totp, User
from saas.audit.models import AuditEvent
from saas.testing.factories import user_factories
from saas.testing.factories.user_factories import PASSWORD
from saas.testing.mails import deliver_queued_mails

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
    return admin_ops.post(f"/api/admin/users/{person.user.id}/mfa/reset", token=by.token)


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
def test_without_a_second_factor_staff_may_do_nothing(required, admin_ops, sam, method, path):
    answer = admin_ops.send(method, path, token=sam.token)

    assert (answer.status_code, answer.json()["code"]) == (403, "mfa_enrolment_required")


def test_nor_may_they_at_the_operator_api(required, webhooks, sam, settings):
    settings.WEBHOOKS_OPEN_OPERATOR_API = False

    answer = webhooks.get("/api/webhooks/logs", token=sam.token)

    assert (answer.status_code, answer.json()["code"]) == (403, "mfa_enrolment_required")


def test_they_may_know_who_they_are_enrol_and_go(required, admin_ops, sam):
    assert log_in(admin_ops, sam).json()["mfa_enrolment_required"] is True
    assert admin_ops.get("/api/admin/auth/me", token=sam.token).status_code == 200

    _, fresh = enrol(admin_ops, sam)

    assert fresh["mfa_enrolment_required"] is False
    assert len(fresh["recovery_codes"]) == 10
    assert admin_ops.get("/api/admin/users", token=fresh["access_token"]).status_code == 200
    assert admin_ops.get("/api/admin/auth/me", token=sam.token).status_code == 401
    assert admin_ops.post("/api/admin/auth/logout", token=fresh["access_token"]).status_code == 204


def test_afterwards_the_login_asks_for_it(required, admin_ops, sam, clock):
    secret, _ = enrol(admin_ops, sam)
    clock.shift(timedelta(minutes=1))

    half = log_in(admin_ops, sam).json()
    assert set(half) == {"mfa_required", "mfa_token"}
    whole = admin_ops.post("/api/admin/auth/mfa/verify", {"mfa_token": half["mfa_token"], "code": code_of(secret)})

    assert admin_ops.get("/api/admin/users", token=whole.json()["access_token"]).status_code == 200


def test_setting_one_up_needs_a_login_of_the_last_minutes(required, admin_ops, sam, clock):
    clock.shift(timedelta(minutes=4))
    fresh = admin_ops.post("/api/admin/auth/refresh", {"refresh_token": sam.refresh_token}).json()["access_token"]
    clock.shift(timedelta(minutes=2))

    without = admin_ops.post("/api/admin/auth/mfa/totp", token=fresh)
    wrong = admin_ops.post("/api/admin/auth/mfa/totp", {"current_password": "wrong"}, token=fresh)
    right = admin_ops.post("/api/admin/auth/mfa/totp", {"current_password": PASSWORD}, token=fresh)

    assert (without.status_code, without.json()["code"]) == (403, "reauth_required")
    assert (wrong.status_code, right.status_code) == (422, 200)


def test_a_wrong_first_code_turns_nothing_on(required, admin_ops, sam):
    secret = admin_ops.post("/api/admin/auth/mfa/totp", token=sam.token).json()["secret"]

    wrong = f"{(int(code_of(secret)) + 1) % 1_000_000:06}"
    answer = admin_ops.post("/api/admin/auth/mfa/totp/confirm", {"code": wrong}, token=sam.token)

    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["code"])
    assert Totp.objects.get().confirmed_at is None


def test_customers_owe_none(required, product, kim):
    assert product.get("/api/auth/me", token=kim.token).status_code == 200


def test_where_it_is_not_required_staff_may_do_without(admin_ops, sam):
    assert admin_ops.get("/api/admin/users", token=sam.token).status_code == 200


def test_the_desk_asks_to_enrol_before_it_shows_anything(required, admin_ops, sam):
    admin_ops.get("/admin/login/")
    asked = admin_ops.submit("/admin/login/", {"username": sam.user.email, "password": PASSWORD})
    assert asked.status_code == 200
    assert admin_ops.get("/admin/").status_code == 302  # to the login page
    secret = re.findall(r"<code[^>]*>([A-Z2-7]{32})</code>", asked.content.decode())[0]

    wrong = admin_ops.submit("/admin/login/", {"first_code": "nonsense"})
    right = admin_ops.submit("/admin/login/", {"first_code": code_of(secret)})

    assert (wrong.status_code, b"This code is not right." in wrong.content) == (422, True)
    assert right.status_code == 200
    assert len(re.findall(r"<code[^>]*>[a-z0-9-]{19}</code>", right.content.decode())) == 10
    assert admin_ops.get("/admin/").status_code == 200


def test_nobody_enrols_at_the_desk_without_a_login(required, admin_ops):
    admin_ops.get("/admin/login/")

    answer = admin_ops.submit("/admin/login/", {"first_code": "123456"})

    assert (answer.status_code, answer["Location"]) == (302, "/admin/login/")


# ── Staff remove one ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_lost_second_factor_is_removed_and_its_owner_is_told(admin_ops, product, kim, sam):
    _, fresh = enrol(product, kim, "/api/auth")

    answer = reset(admin_ops, sam, kim)

    assert answer.status_code == 204
    assert not Totp.objects.exists()
    assert not RecoveryCode.objects.exists()
    assert product.get("/api/auth/me", token=fresh["access_token"]).status_code == 401
    login = product.post("/api/auth/login", {"email": kim.user.email, "password": PASSWORD})
    assert "access_token" in login.json()
    assert [mail.to for mail in deliver_queued_mails("mfa_reset")] == [[kim.user.email]]
    event = AuditEvent.objects.get(action="mfa.reset")
    assert (event.actor, event.target) == (sam.user.id, kim.user.id)


def test_where_there_is_none_nothing_happens(admin_ops, kim, sam):
    answer = reset(admin_ops, sam, kim)

    assert (answer.status_code, answer.json()["code"]) == (409, "mfa_not_enabled")
    assert LoginSession.objects.live().filter(user=kim.user).exists()
    assert User.objects.get(pk=kim.user.pk).token_epoch == kim.user.token_epoch


def test_support_removes_no_colleagues_second_factor(admin_ops, sam):
    helper = user_factories.create_staff_member("", Role.SUPPORT_WRITE)
    enrol(admin_ops, sam)

    answer = reset(admin_ops, helper, sam)

    assert (answer.status_code, answer.json()["code"]) == (403, "staff_account")
    assert Totp.objects.get().confirmed_at is not None


def test_nobody_removes_her_own_at_the_desk(admin_ops, sam):
    _, fresh = enrol(admin_ops, sam)

    answer = admin_ops.post(f"/api/admin/users/{sam.user.id}/mfa/reset", token=fresh["access_token"])

    assert (answer.status_code, answer.json()["code"]) == (409, "cannot_reset_own_factor")
    assert Totp.objects.get().confirmed_at is not None
