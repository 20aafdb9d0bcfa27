"""The API for finding users, and for the staff actions on them."""

import pytest

from saas.accounts.models import Audience, LoginSession, StaffRole, User, UserNote
from saas.accounts.sessions import logins
from saas.accounts.staff import staff_administration
from saas.audit.models import AuditEvent
from saas.billing.checkouts import start_checkout
from saas.billing.subscriptions import cancel_subscription
from saas.mail.models import Mail
from saas.teams.actions import create_team
from saas.testing.factories import user_factories
from saas.testing.factories.user_factories import PASSWORD


def ban(admin_ops, actor, user_id, reason="spam"):
    return admin_ops.put(f"/api/admin/users/{user_id}/ban", {"reason": reason}, token=actor.token)


def audited(action):
    return AuditEvent.objects.filter(action=action)


def test_users_are_listed_newest_first_in_pages(admin_ops, customer, other, staff_member, django_assert_num_queries):
    with django_assert_num_queries(3):  # session with user, count, page: a superuser's roles cost nothing
        first = admin_ops.get("/api/admin/users?limit=2", token=staff_member.token).json()
    second = admin_ops.get(f"/api/admin/users?limit=2&cursor={first['next']}", token=staff_member.token).json()

    everybody = sorted([customer.user.id, other.user.id, staff_member.user.id], reverse=True)
    assert first["count"] == 3
    assert [row["id"] for row in first["users"] + second["users"]] == everybody
    assert second["next"] is None
    assert set(first["users"][0]) == {
        "id", "email", "full_name", "locale", "status", "is_verified", "created_at", "updated_at",
        "is_staff", "status_reason", "last_login_at",
    }  # fmt: skip


def test_search_finds_part_of_an_address_or_name_and_the_exact_id(admin_ops, customer, other, staff_member):
    def found(search):
        rows = admin_ops.get(f"/api/admin/users?search={search}", token=staff_member.token).json()["users"]
        return [row["id"] for row in rows]

    assert found("ola") == [other.user.id]
    assert found(customer.user.email.partition("@")[0].upper() + "@") == [customer.user.id]
    assert found(customer.user.id) == [customer.user.id]
    assert found("%25") == []
    assert found("_") == []


def test_status_filters_the_list(admin_ops, customer, other, staff_member):
    ban(admin_ops, staff_member, customer.user.id)

    rows = admin_ops.get("/api/admin/users?status=disabled", token=staff_member.token).json()

    assert [row["id"] for row in rows["users"]] == [customer.user.id]
    assert rows["count"] == 1


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=-1", "limit=abc", "limit=" + "9" * 5000, "cursor=tampered",
     "search=" + "a" * 101, "status=banned", "status=1"],
)  # fmt: skip
def test_a_query_that_does_not_fit_is_refused(admin_ops, staff_member, query):
    answer = admin_ops.get(f"/api/admin/users?{query}", token=staff_member.token)

    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [query.split("=")[0]]


def test_a_cursor_of_another_list_is_refused(admin_ops, staff_member):
    user_factories.create_customer()
    cursor = admin_ops.get("/api/admin/audit?limit=1", token=staff_member.token).json()["next"]

    assert admin_ops.get(f"/api/admin/users?cursor={cursor}", token=staff_member.token).status_code == 422


def test_a_users_page_has_everything(admin_ops, customer, staff_member, django_assert_num_queries):
    admin_ops.post(
        f"/api/admin/users/{customer.user.id}/notes", {"text": "Asked for an invoice."}, token=staff_member.token
    )

    with django_assert_num_queries(13):
        body = admin_ops.get(f"/api/admin/users/{customer.user.id}", token=staff_member.token).json()

    assert body["user"]["id"] == customer.user.id
    assert body["profile"]["display_name"] == "Kim Example"
    assert body["identities"] == []
    assert [session["id"] for session in body["sessions"]] == [customer.session_id]
    assert [(note["text"], note["author"]) for note in body["notes"]] == [
        ("Asked for an invoice.", staff_member.user.email)
    ]
    assert [event["action"] for event in body["audit"]] == ["user.noted", "session.opened", "user.registered"]
    assert PASSWORD not in str(body)
    assert customer.user.password not in str(body)


def test_a_users_page_lists_their_teams(admin_ops, customer, staff_member):
    team = create_team(name="Engineering", owner=customer.user).team

    body = admin_ops.get(f"/api/admin/users/{customer.user.id}", token=staff_member.token).json()

    assert [(row["id"], row["name"], row["role"]) for row in body["teams"]] == [(team.id, "Engineering", "owner")]


@pytest.mark.parametrize("method", ["ban", "unban"])
def test_an_unknown_person_is_not_found(admin_ops, staff_member, method):
    answer = admin_ops.put(f"/api/admin/users/usr_unknown/{method}", {"reason": "x"}, token=staff_member.token)

    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


def test_a_banned_customers_session_is_refused_on_the_next_request(admin_ops, product, parity, customer, staff_member):
    has_parity = parity.get("/auth/me", token=customer.token).status_code == 200

    answer = ban(admin_ops, staff_member, customer.user.id, "spam")

    assert answer.status_code == 200
    assert answer.json()["status"] == "banned"
    assert answer.json()["user"]["status"] == "disabled"
    assert answer.json()["user"]["status_reason"] == "spam"
    assert product.get("/api/auth/me", token=customer.token).status_code == 401
    assert product.post("/api/auth/refresh", {"refresh_token": customer.refresh_token}).status_code == 401
    assert product.post("/api/auth/login", {"email": customer.user.email, "password": PASSWORD}).status_code == 401
    product.cookies["saas_session"] = customer.cookie_key
    assert product.get("/api/auth/me").status_code == 401
    if has_parity:
        assert parity.get("/auth/me", token=customer.token).status_code == 401
        parity.cookies["saas_session"] = customer.cookie_key
        assert parity.get("/auth/me").status_code == 401
    assert audited("user.banned").get().reason == "spam"


def test_unbanning_lets_a_person_log_in_again_and_revives_nothing(admin_ops, product, customer, staff_member):
    ban(admin_ops, staff_member, customer.user.id)

    path, body = f"/api/admin/users/{customer.user.id}/unban", {"reason": "an error"}
    answer, again = (admin_ops.put(path, body, token=staff_member.token) for _ in range(2))

    assert answer.status_code == again.status_code == 200
    event = audited("user.unbanned").get()
    assert (event.actor, event.target, event.reason) == (staff_member.user.id, customer.user.id, "an error")
    assert answer.json()["status"] == "active"
    assert answer.json()["user"]["status_reason"] == ""
    assert product.get("/api/auth/me", token=customer.token).status_code == 401
    assert product.post("/api/auth/refresh", {"refresh_token": customer.refresh_token}).status_code == 401
    assert product.post("/api/auth/login", {"email": customer.user.email, "password": PASSWORD}).status_code == 200


def test_unbanning_forgets_the_logins_that_the_ban_refused(admin_ops, product, customer, staff_member):
    ban(admin_ops, staff_member, customer.user.id)
    right = {"email": customer.user.email, "password": PASSWORD}
    while_banned = [product.post("/api/auth/login", right).status_code for _ in range(6)]

    admin_ops.put(f"/api/admin/users/{customer.user.id}/unban", token=staff_member.token)

    assert while_banned == [401] * 5 + [429]
    assert product.post("/api/auth/login", right).status_code == 200


def test_banning_twice_is_answered_alike_and_noted_once(admin_ops, customer, staff_member):
    first, second = (
        ban(admin_ops, staff_member, customer.user.id, "spam"),
        ban(admin_ops, staff_member, customer.user.id, "again"),
    )

    assert first.status_code == second.status_code == 200
    assert second.json() == first.json()
    assert audited("user.banned").count() == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 422), ({"reason": ""}, 422), ({"reason": 7}, 422), ({"reason": "a" * 501}, 422), (None, 400)],
)
def test_a_ban_needs_a_reason(admin_ops, customer, staff_member, body, status):
    answer = admin_ops.put(f"/api/admin/users/{customer.user.id}/ban", body, token=staff_member.token)

    assert answer.status_code == status
    assert User.objects.get(pk=customer.user.pk).status == "active"
    assert not audited("user.banned").exists()


def test_people_are_found_by_their_own_plan_or_that_of_their_team(admin_ops, customer, other, staff_member):
    start_checkout(customer.user, plan_id="growth")
    start_checkout(other.user, plan_id="growth", owner=create_team(name="Design", owner=other.user).team)

    def found(plan):
        listed = admin_ops.get(f"/api/admin/users?plan={plan}", token=staff_member.token).json()
        return {row["id"] for row in listed["users"]}

    assert (found("growth"), found("none")) == ({customer.user.pk, other.user.pk}, {staff_member.user.pk})
    cancel_subscription(customer.user, at_period_end=False, reason="", by=customer.user)
    assert (found("growth"), found("none")) == ({other.user.pk}, {customer.user.pk, staff_member.user.pk})


def test_staff_cannot_ban_themselves(admin_ops, staff_member):
    answer = ban(admin_ops, staff_member, staff_member.user.id)

    assert answer.status_code == 409
    assert answer.json()["code"] == "cannot_ban_self"
    assert LoginSession.objects.live().filter(sid=staff_member.session_id).exists()


def test_support_does_not_touch_staff(admin_ops, staff_member):
    support = user_factories.create_staff_member("", StaffRole.SUPPORT_WRITE)

    answers = [
        ban(admin_ops, support, staff_member.user.id),
        admin_ops.put(f"/api/admin/users/{staff_member.user.id}/unban", token=support.token),
        admin_ops.post(f"/api/admin/users/{staff_member.user.id}/sessions/revoke", token=support.token),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, "staff_account")] * 3
    with pytest.raises(staff_administration.StaffAccount):
        staff_administration.revoke_credentials(staff_member.user, by=support.user)
    assert admin_ops.get("/api/admin/auth/me", token=staff_member.token).status_code == 200


def test_an_admin_bans_staff_but_never_the_last_admin(admin_ops, staff_member):
    second = user_factories.create_staff_member("", StaffRole.ADMIN)
    assert ban(admin_ops, staff_member, second.user.id).status_code == 200

    with pytest.raises(
        staff_administration.LastAdmin
    ):  # by one who is banned meanwhile, as when two ban each other at once
        staff_administration.ban_user(staff_member.user, by=second.user, reason="race")

    assert admin_ops.get("/api/admin/auth/me", token=staff_member.token).status_code == 200


def test_a_deleted_account_is_not_banned(admin_ops, customer, staff_member):
    User.objects.filter(pk=customer.user.pk).update(status=User.Status.DELETED)

    answer = ban(admin_ops, staff_member, customer.user.id)

    assert answer.status_code == 409
    assert answer.json()["code"] == "account_deleted"


@pytest.mark.parametrize("role", [StaffRole.SUPPORT_READ, StaffRole.AUDITOR])
def test_read_only_staff_change_nothing(admin_ops, customer, role):
    reader = user_factories.create_staff_member("", role)
    before = AuditEvent.objects.count()

    answers = [
        ban(admin_ops, reader, customer.user.id),
        admin_ops.put(f"/api/admin/users/{customer.user.id}/unban", token=reader.token),
        admin_ops.post(f"/api/admin/users/{customer.user.id}/sessions/revoke", token=reader.token),
        admin_ops.post(f"/api/admin/users/{customer.user.id}/notes", {"text": "x"}, token=reader.token),
    ]

    assert [answer.status_code for answer in answers] == [403] * 4
    assert ban(admin_ops, reader, "usr_unknown").status_code == 404
    assert AuditEvent.objects.count() == before
    assert LoginSession.objects.live().filter(sid=customer.session_id).exists()


def test_staff_without_a_role_see_no_users(admin_ops, customer):
    without_role = user_factories.create_staff_member("", StaffRole.AUDITOR)
    without_role.user.groups.clear()

    assert admin_ops.get("/api/admin/users", token=without_role.token).status_code == 403
    assert admin_ops.get(f"/api/admin/users/{customer.user.id}", token=without_role.token).status_code == 403
    assert admin_ops.get("/api/admin/users/usr_unknown", token=without_role.token).status_code == 403


def test_revoking_sessions_logs_a_person_out_everywhere(admin_ops, product, customer, staff_member):
    logins.log_in(email=customer.user.email, password=PASSWORD, audience=Audience.CUSTOMER)

    answer = admin_ops.post(f"/api/admin/users/{customer.user.id}/sessions/revoke", token=staff_member.token)

    assert answer.status_code == 200
    assert answer.json() == {"sessions_revoked": 2, "credentials": 0, "credentials_revoked": False}
    assert product.get("/api/auth/me", token=customer.token).status_code == 401
    assert audited("user.sessions_revoked").get().data == {"sessions": 2}
    assert product.post("/api/auth/login", {"email": customer.user.email, "password": PASSWORD}).status_code == 200


def test_a_note_is_kept_and_its_text_is_not_in_the_trail(admin_ops, customer, staff_member):
    answer = admin_ops.post(
        f"/api/admin/users/{customer.user.id}/notes", {"text": "Calls on Mondays."}, token=staff_member.token
    )

    assert answer.status_code == 201
    note = UserNote.objects.get()
    assert answer.json()["note"]["id"] == note.pk
    assert (note.user_id, note.author_id, note.text) == (customer.user.id, staff_member.user.id, "Calls on Mondays.")
    assert audited("user.noted").get().data == {"note": note.pk}


@pytest.mark.parametrize("path", ["", "/usr_x", "/usr_x/ban", "/usr_x/unban", "/usr_x/sessions/revoke", "/usr_x/notes"])
def test_anonymous_callers_get_401(admin_ops, path):
    method = {"": "GET", "/usr_x": "GET", "/usr_x/ban": "PUT", "/usr_x/unban": "PUT"}.get(path, "POST")

    assert admin_ops.send(method, f"/api/admin/users{path}").status_code == 401


def test_a_password_reset_is_mailed_and_not_in_the_answer(admin_ops, customer, staff_member):
    path, body = f"/api/admin/users/{customer.user.id}/password-reset", {"reason": "asked by phone"}
    answer = admin_ops.post(path, body, token=staff_member.token)

    assert (answer.status_code, answer.content) == (202, b"")
    assert Mail.objects.get(template="password_reset").recipient == customer.user.email
    event = audited("password.reset_sent").get()
    assert (event.actor, event.target, event.reason) == (staff_member.user.id, customer.user.id, "asked by phone")


@pytest.mark.parametrize("status", [User.Status.DISABLED, User.Status.DELETED])
def test_no_reset_is_mailed_to_a_banned_or_deleted_user(admin_ops, customer, staff_member, status):
    User.objects.filter(pk=customer.user.pk).update(status=status)

    answer = admin_ops.post(f"/api/admin/users/{customer.user.id}/password-reset", token=staff_member.token)

    assert (answer.status_code, answer.json()["code"]) == (409, "account_not_active")
    assert not Mail.objects.filter(template="password_reset").exists()


def test_support_mails_no_reset_to_staff(admin_ops, staff_member):
    support = user_factories.create_staff_member("", StaffRole.SUPPORT_WRITE)

    answer = admin_ops.post(f"/api/admin/users/{staff_member.user.id}/password-reset", token=support.token)

    assert (answer.status_code, answer.json()["code"]) == (403, "staff_account")
    assert not Mail.objects.filter(template="password_reset").exists()
