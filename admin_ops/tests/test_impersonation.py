"""Impersonation: who may start it, what it may do, when it ends, and what is audited (T47 to T50)."""

from datetime import datetime

import jwt
import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from admin_ops.tests.pages import open_admin_site
from saas.accounts.models import Impersonation, LoginSession, Profile, RefreshToken, StaffRole, User
from saas.accounts.reauthentication import ReauthRequired, require_recent_login
from saas.accounts.staff import staff_administration
from saas.audit.models import AuditEvent
from saas.testing.factories import user_factories
from saas.testing.factories.user_factories import PASSWORD

ME, PROFILE = "/api/auth/me", "/api/users/profile"
REFUSE_LINES = {
    "sqlite": [
        "CREATE TRIGGER no_lines BEFORE INSERT ON audit_auditevent WHEN NEW.action = 'impersonation.request'"
        " BEGIN SELECT RAISE(ABORT, 'no line'); END"
    ],
    "postgresql": [
        "CREATE FUNCTION refuse_line() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no line'; END $$",
        "CREATE TRIGGER no_lines BEFORE INSERT ON audit_auditevent FOR EACH ROW"
        " WHEN (NEW.action = 'impersonation.request') EXECUTE FUNCTION refuse_line()",
    ],
}


def start(admin_ops, actor, person, **body):
    path = f"/api/admin/users/{person.user.id}/impersonate"
    return admin_ops.post(path, {"reason": "cannot see her invoice", **body}, token=actor.token)


@pytest.fixture
def token(admin_ops, staff_member, customer):
    return start(admin_ops, staff_member, customer).json()["access_token"]


@pytest.fixture
def writing(admin_ops, staff_member, customer):
    return start(admin_ops, staff_member, customer, write=True).json()["access_token"]


def audit_events(action):
    return AuditEvent.objects.filter(action=f"impersonation.{action}")


def test_the_token_is_the_customers_and_names_the_actor(admin_ops, staff_member, customer):
    answer = start(admin_ops, staff_member, customer, minutes=10, ticket="T-17")

    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == {"impersonation_id", "access_token", "token_type", "expires_at"}
    claims = jwt.decode(body["access_token"], options={"verify_signature": False})
    assert claims["sub"] == customer.user.id
    assert claims["act"] == {"sub": staff_member.user.id, "sid": staff_member.session_id}
    assert claims["aud"] == "saas"
    assert claims["scope"] == "impersonate:read"
    assert claims["exp"] - claims["iat"] == 600
    assert not answer.cookies
    session = LoginSession.objects.get(sid=claims["sid"])
    assert not RefreshToken.objects.filter(session=session).exists()
    assert Impersonation.objects.get(session=session).ticket == "T-17"
    event = audit_events("started").get()
    assert (event.actor, event.act_as, event.reason) == (
        staff_member.user.id,
        customer.user.id,
        "cannot see her invoice",
    )


def test_me_shows_who_acts_and_why(product, parity, staff_member, customer, token):
    body = product.get(ME, token=token).json()

    assert body["user"]["id"] == customer.user.id
    assert body["impersonation"]["by"] == staff_member.user.email
    assert body["impersonation"]["reason"] == "cannot see her invoice"
    assert parity.get("/auth/me", token=token).json()["impersonation"]["by"] == staff_member.user.email
    assert product.get(ME, token=customer.token).json()["impersonation"] is None


def test_an_impersonation_is_no_recent_login(token):
    with pytest.raises(ReauthRequired):
        require_recent_login(Impersonation.objects.get().session)


def test_the_token_is_refused_by_the_staff_api(admin_ops, token):
    assert admin_ops.get("/api/admin/auth/me", token=token).status_code == 401
    assert admin_ops.get("/api/admin/users", token=token).status_code == 401


def test_it_ends_with_its_minutes(admin_ops, product, staff_member, customer):
    began = LoginSession.objects.get(sid=staff_member.session_id).created_at.timestamp()
    with time_machine.travel(began + 60, tick=False):
        token = start(admin_ops, staff_member, customer, minutes=15).json()["access_token"]
    with time_machine.travel(began + 60 + 15 * 60 - 1, tick=False):
        assert product.get(ME, token=token).status_code == 200
    with time_machine.travel(began + 60 + 15 * 60 + 1, tick=False):
        assert product.get(ME, token=token).status_code == 401


@pytest.mark.parametrize(
    "body", [{"reason": ""}, {"minutes": 0}, {"minutes": 16}, {"minutes": "5"}, {"write": "yes"}, {"ticket": "a" * 101}]
)
def test_invalid_input_starts_no_impersonation(admin_ops, staff_member, customer, body):
    assert start(admin_ops, staff_member, customer, **body).status_code == 422
    assert not Impersonation.objects.exists()


def test_staff_and_oneself_cannot_be_impersonated(admin_ops, staff_member):
    other = user_factories.create_staff_member("", StaffRole.SUPPORT_READ)

    answers = [start(admin_ops, staff_member, staff_member), start(admin_ops, staff_member, other)]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (403, "cannot_impersonate_staff"),
        (403, "cannot_impersonate_staff"),
    ]
    assert [event.data for event in audit_events("refused")] == [{"code": "cannot_impersonate_staff"}] * 2


@pytest.mark.parametrize("status", [User.Status.DISABLED, User.Status.DELETED])
def test_a_banned_or_deleted_user_cannot_be_impersonated(admin_ops, staff_member, customer, status):
    User.objects.filter(pk=customer.user.pk).update(status=status)

    answer = start(admin_ops, staff_member, customer)

    assert (answer.status_code, answer.json()["code"]) == (409, "account_not_active")
    assert audit_events("refused").get().actor == staff_member.user.id
    assert (
        admin_ops.post("/api/admin/users/usr_x/impersonate", {"reason": "x"}, token=staff_member.token).status_code
        == 404
    )


def test_a_login_older_than_five_minutes_needs_the_password(admin_ops, staff_member, customer):
    LoginSession.objects.filter(sid=staff_member.session_id).update(authenticated_at="2020-01-01T00:00Z")

    without, wrong = (
        start(admin_ops, staff_member, customer),
        start(admin_ops, staff_member, customer, current_password="not the password"),
    )
    right = start(admin_ops, staff_member, customer, current_password=PASSWORD)

    assert (without.status_code, without.json()["code"]) == (403, "reauth_required")
    assert wrong.status_code == 422
    assert right.status_code == 201


@pytest.mark.parametrize(
    ("role", "body", "status"),
    [
        (StaffRole.SUPPORT_READ, {}, 403),
        (StaffRole.AUDITOR, {}, 403),
        (StaffRole.SUPPORT_WRITE, {}, 201),
        (StaffRole.SUPPORT_WRITE, {"write": True}, 403),
        (StaffRole.ADMIN, {"write": True}, 201),
    ],
)
def test_reading_and_writing_need_a_permission_each(admin_ops, customer, role, body, status):
    assert start(admin_ops, user_factories.create_staff_member("", role), customer, **body).status_code == status
    assert audit_events("refused").count() == (status == 403)


def test_impersonation_switched_off_neither_starts_nor_goes_on(
    admin_ops, product, staff_member, customer, token, settings
):
    settings.IMPERSONATION_ENABLED = False

    assert start(admin_ops, staff_member, customer).json()["code"] == "impersonation_off"
    assert product.get(ME, token=token).status_code == 401


@pytest.mark.parametrize("reading", [True, False])
def test_a_token_writes_only_if_it_may(product, customer, token, writing, reading):
    answer = product.patch(PROFILE, {"display_name": "Changed"}, token=token if reading else writing)

    assert answer.status_code == (403 if reading else 200)
    name = Profile.objects.get(user=customer.user).display_name
    assert name == ("Kim Example" if reading else "Changed")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/auth/logout"),
        ("POST", "/api/auth/logout-all"),
        ("DELETE", "/api/auth/sessions/{sid}"),
        ("POST", "/api/auth/reauthenticate"),
        ("POST", "/api/auth/oauth/google/link"),
        ("POST", "/api/teams"),
    ],
)
def test_a_writing_token_is_refused_for_what_only_the_customer_may_do(product, customer, writing, method, path):
    answer = product.send(method, path.format(sid=customer.session_id), {}, token=writing)

    assert (answer.status_code, answer.json()["code"]) == (403, "not_while_impersonating")
    assert LoginSession.objects.live().filter(sid=customer.session_id).exists()


def test_every_request_is_one_audit_event_whatever_its_status(product, staff_member, customer, token, writing):
    product.get(ME, token=token)
    product.get("/api/auth/sessions", token=token)
    product.patch(PROFILE, {"display_name": "No"}, token=token)
    product.patch(PROFILE, {"timezone": "Nowhere"}, token=writing)
    product.get("/api/teams/team_x", token=token)

    lines = list(audit_events("request").order_by("pk"))

    assert [(line.data["method"], line.data["route"], line.data["status"]) for line in lines] == [
        ("GET", "api/auth/me", 200),
        ("GET", "api/auth/sessions", 200),
        ("PATCH", "api/users/profile", 403),
        ("PATCH", "api/users/profile", 422),
        ("GET", "api/teams/<str:team_id>", 404),
    ]
    assert {(line.actor, line.act_as, line.reason) for line in lines} == {
        (staff_member.user.id, customer.user.id, "cannot see her invoice")
    }
    assert all(line.request_id.startswith("req_") for line in lines)


def test_a_change_is_audited_as_made_by_the_member_of_staff(product, staff_member, customer, writing):
    product.patch(PROFILE, {"display_name": "Changed"}, token=writing)

    event = AuditEvent.objects.get(action="profile.updated")
    assert (event.actor, event.act_as, event.target) == (staff_member.user.id, customer.user.id, customer.user.id)


@pytest.fixture
def no_line_is_written(db):
    with connection.cursor() as cursor:
        for statement in REFUSE_LINES[connection.vendor]:
            cursor.execute(statement)


def test_a_request_that_cannot_be_audited_does_nothing(product, customer, writing, no_line_is_written):
    read = product.get(ME, token=writing)
    changed = product.patch(PROFILE, {"display_name": "Changed"}, token=writing)

    assert read.status_code == changed.status_code == 503
    assert read["Retry-After"] == "5"
    assert "user" not in read.json()
    assert Profile.objects.get(user=customer.user).display_name == "Kim Example"
    assert not AuditEvent.objects.filter(action="profile.updated").exists()


@pytest.mark.parametrize(
    "end",
    [
        lambda admin_ops, staff_member, customer: admin_ops.post("/api/admin/auth/logout", token=staff_member.token),
        lambda admin_ops, staff_member, customer: staff_administration.ban_user(
            customer.user, by=staff_member.user, reason="fraud"
        ),
        lambda admin_ops, staff_member, customer: staff_administration.revoke_sessions(
            customer.user, by=staff_member.user
        ),
        lambda admin_ops, staff_member, customer: User.objects.filter(pk=staff_member.user.pk).update(
            status="disabled"
        ),
        lambda admin_ops, staff_member, customer: User.objects.filter(pk=staff_member.user.pk).update(
            is_superuser=False
        ),
        lambda admin_ops, staff_member, customer: User.objects.filter(pk=staff_member.user.pk).update(is_staff=False),
        lambda admin_ops, staff_member, customer: User.objects.filter(pk=staff_member.user.pk).update(token_epoch=1),
        lambda admin_ops, staff_member, customer: LoginSession.objects.filter(sid=staff_member.session_id).update(
            ends_at=timezone.now()
        ),
        lambda admin_ops, staff_member, customer: admin_ops.delete(
            f"/api/admin/impersonations/{Impersonation.objects.get().id}", token=staff_member.token
        ),
    ],
    ids=[
        "staff logs out",
        "ban",
        "sessions revoked",
        "staff banned",
        "demoted",
        "no longer staff",
        "staff logged out everywhere",
        "staff's login expired",
        "ended",
    ],
)
def test_an_ended_impersonation_is_refused_on_the_next_request(admin_ops, product, staff_member, customer, token, end):
    assert product.get(ME, token=token).status_code == 200

    end(admin_ops, staff_member, customer)

    assert product.get(ME, token=token).status_code == 401
    assert audit_events("request").count() == 1


def test_a_demotion_ends_the_impersonations_that_write_and_no_others(admin_ops, product, staff_member, customer):
    admin = user_factories.create_staff_member("", StaffRole.ADMIN)
    reading, writing = (
        start(admin_ops, admin, customer, write=write).json()["access_token"] for write in (False, True)
    )

    staff_administration.set_roles(
        admin.user, by=staff_member.user, roles=[StaffRole.SUPPORT_WRITE], reason="moved to support"
    )

    assert [product.get(ME, token=token).status_code for token in (reading, writing)] == [200, 401]


def test_ending_the_sessions_of_staff_or_customer_leaves_the_others_own(
    admin_ops, product, staff_member, customer, token
):
    admin_ops.delete(f"/api/admin/impersonations/{Impersonation.objects.get().id}", token=staff_member.token)

    assert product.get(ME, token=customer.token).status_code == 200
    assert admin_ops.get("/api/admin/auth/me", token=staff_member.token).status_code == 200
    assert audit_events("ended").get().actor == staff_member.user.id
    devices = product.get("/api/auth/sessions", token=customer.token).json()["sessions"]
    assert [device["id"] for device in devices] == [customer.session_id]


def test_the_customer_sees_support_among_their_devices_and_can_end_it(product, customer, token):
    devices = product.get("/api/auth/sessions", token=customer.token).json()["sessions"]
    support = next(device for device in devices if device["agent"] == "Support")

    product.delete(f"/api/auth/sessions/{support['id']}", token=customer.token)

    assert product.get(ME, token=token).status_code == 401
    assert support["address"] == ""


def test_the_customer_sees_afterwards_when_why_and_how_often(
    product, customer, other, token, django_assert_num_queries
):
    product.get(ME, token=token)
    product.get("/api/teams", token=token)
    staff_row = Impersonation.objects.get()

    with django_assert_num_queries(4):
        body = product.get("/api/auth/support-visits", token=customer.token).json()

    (visit,) = body["visits"]
    assert (visit["id"], visit["reason"], visit["could_write"]) == (staff_row.pk, "cannot see her invoice", False)
    assert visit["requests"] == 2
    assert product.get("/api/auth/support-visits", token=other.token).json()["visits"] == []


def staff_logs_out(admin_ops, product, staff_member, customer):
    admin_ops.post("/api/admin/auth/logout", token=staff_member.token)


def staff_loses_the_sessions(admin_ops, product, staff_member, customer):
    staff_administration.revoke_sessions(staff_member.user, by=staff_member.user)


def customer_is_banned(admin_ops, product, staff_member, customer):
    staff_administration.ban_user(customer.user, by=staff_member.user, reason="spam")


def staffs_login_expires(admin_ops, product, staff_member, customer):
    LoginSession.objects.filter(sid=staff_member.session_id).update(ends_at=timezone.now())


def customer_ends_it(admin_ops, product, staff_member, customer):
    session = Impersonation.objects.get().session
    product.delete(f"/api/auth/sessions/{session.sid}", token=customer.token)


@pytest.mark.parametrize(
    "end", [staff_logs_out, staff_loses_the_sessions, staffs_login_expires, customer_is_banned, customer_ends_it]
)
def test_it_is_shown_as_over_once_either_login_has_ended(admin_ops, product, staff_member, customer, token, end):
    before = Impersonation.objects.listed().get()

    end(admin_ops, product, staff_member, customer)

    after, now = Impersonation.objects.listed().get(), timezone.now()
    assert (before.is_running(now), after.is_running(now)) == (True, False)
    assert (before.over_at(), before.ended_early_at(now)) == (before.ends_at, None)
    assert before.ended_early_at(before.ends_at) is None
    assert after.ended_early_at(now) == after.over_at() <= now


def test_the_customer_sees_when_it_really_ended(admin_ops, product, staff_member, customer, token):
    staff_logs_out(admin_ops, product, staff_member, customer)

    (visit,) = product.get("/api/auth/support-visits", token=customer.token).json()["visits"]

    ended = LoginSession.objects.get(sid=staff_member.session_id).revoked_at
    assert datetime.fromisoformat(visit["ended_at"]) == ended
    admin = user_factories.create_staff_member()
    (row,) = admin_ops.get("/api/admin/impersonations", token=admin.token).json()["impersonations"]
    assert datetime.fromisoformat(row["ended_at"]) == ended


def test_the_list_shows_who_acted_in_whose_name(admin_ops, staff_member, customer, token, django_assert_num_queries):
    with django_assert_num_queries(3):
        body = admin_ops.get("/api/admin/impersonations", token=staff_member.token).json()

    row = body["impersonations"][0]
    assert (body["count"], row["by"], row["user_id"], row["write"]) == (
        1,
        staff_member.user.email,
        customer.user.id,
        False,
    )


def test_support_ends_its_own_and_only_an_admin_anothers(admin_ops, customer, staff_member, token):
    support = user_factories.create_staff_member("", StaffRole.SUPPORT_WRITE)
    path = f"/api/admin/impersonations/{Impersonation.objects.get().id}"
    own = start(admin_ops, support, customer).json()["impersonation_id"]

    assert admin_ops.delete(path, token=support.token).status_code == 403
    assert admin_ops.delete(f"/api/admin/impersonations/{own}", token=support.token).status_code == 204
    assert admin_ops.delete(f"/api/admin/impersonations/{own}", token=support.token).status_code == 204
    assert admin_ops.delete("/api/admin/impersonations/imp_x", token=support.token).status_code == 404
    assert audit_events("ended").count() == 1


def test_starting_is_limited_to_twenty_an_hour_for_each_member_of_staff(admin_ops, staff_member, customer, settings):
    settings.RATE_LIMIT_SCALE = 1
    for _ in range(20):
        start(admin_ops, staff_member, customer, reason="")

    assert start(admin_ops, staff_member, customer).status_code == 429
    page = f"/admin/accounts/user/{customer.user.pk}/do/impersonate/"
    by_page = open_admin_site(admin_ops, staff_member).submit_form(page, {"reason": "ticket 7", "minutes": "5"})
    assert (by_page.status_code, Impersonation.objects.exists()) == (422, False)
    assert start(admin_ops, user_factories.create_staff_member(), customer).status_code == 201
