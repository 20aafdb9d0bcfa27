"""Django admin: login, permissions, tables and bulk actions."""

import re

import pytest
import time_machine
from django.contrib.admin.models import LogEntry

from admin_ops.actions.users import BAN
from admin_ops.admin import action_pages, admin_site
from saas.accounts.models import LoginSession, StaffRole, User
from saas.api import rate_limits
from saas.audit.models import AuditEvent
from saas.mail.models import Mail
from saas.testing.factories import user_factories
from saas.testing.factories.user_factories import PASSWORD
from saas.testing.rate_limits import use_up

CREATED_BY_STAFF = {"/admin/billing/promotioncode/"}
TABLES = [f"/admin/{model._meta.app_label}/{model._meta.model_name}/" for model in admin_site._registry]


def open_dashboard(admin_ops, person):
    """By the session cookie; the page visited sets the CSRF cookie."""
    admin_ops.cookies["saas_admin_session"] = person.cookie_key
    return admin_ops.get("/admin/")


def submit_login(admin_ops, person, password=PASSWORD, next=""):
    admin_ops.get("/admin/login/")
    return admin_ops.submit_form("/admin/login/", {"username": person.user.email, "password": password, "next": next})


def page(person):
    return f"/admin/accounts/user/{person.user.pk}/change/"


def ban(admin_ops, *people, **fields):
    chosen = [person.user.pk for person in people]
    return admin_ops.submit_form(
        "/admin/accounts/user/", {"action": "ban_selected", "_selected_action": chosen, **fields}
    )


def test_staff_log_in_by_our_own_login_and_get_our_own_session(admin_ops, staff_member):
    answer = submit_login(admin_ops, staff_member, next="/admin/accounts/user/")

    assert answer.status_code == 302
    assert answer["Location"] == "/admin/accounts/user/"
    cookie = answer.cookies["saas_admin_session"]
    assert cookie["samesite"] == "Strict"
    assert cookie["httponly"]
    newest = LoginSession.objects.order_by("-created_at").first()
    assert (newest.user_id, newest.audience, newest.methods) == (staff_member.user.pk, "saas-admin", "pwd")
    assert admin_ops.get("/admin/").status_code == 200
    assert admin_ops.get("/api/admin/auth/me").status_code == 200  # one session, two doors


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_login_redirects_to_no_other_host(admin_ops, staff_member, target):
    assert submit_login(admin_ops, staff_member, next=target)["Location"] == "/admin/"


def test_a_wrong_password_and_a_customer_get_the_same_page_and_no_session(admin_ops, staff_member, customer):
    wrong = submit_login(admin_ops, staff_member, "not the password")
    by_customer = submit_login(admin_ops, customer)

    assert wrong.status_code == by_customer.status_code == 401
    assert "Invalid credentials" in wrong.content.decode()
    assert "Invalid credentials" in by_customer.content.decode()
    assert "saas_admin_session" not in wrong.cookies
    assert LoginSession.objects.count() == 2


@time_machine.travel("2030-01-01T00:00:00Z", tick=False)  # all within one minute
def test_the_login_page_shares_the_limit_of_the_api(admin_ops, staff_member, settings):
    settings.RATE_LIMIT_SCALE = 1
    for _ in range(10):
        admin_ops.post("/api/admin/auth/login", {"email": "nobody@example.net", "password": "not the password"})

    answer = submit_login(admin_ops, staff_member)

    assert answer.status_code == 429
    assert "Too many requests" in answer.content.decode()
    assert int(answer["Retry-After"]) > 0
    assert "saas_admin_session" not in answer.cookies


NEW_PASSWORD = {"token": "guess", "new_password": "an entirely new phrase"}


@pytest.mark.parametrize(
    ("path", "fields", "limit"),
    [
        ("/admin/login/", {"mfa_token": "mfa_guess", "code": "123456"}, rate_limits.MFA),
        ("/admin/password/", NEW_PASSWORD, rate_limits.MAILED_LINK),
        ("/admin/password/", NEW_PASSWORD, rate_limits.mailed_link_token_limit("guess")),
    ],
    ids=["code", "link", "token"],
)
@time_machine.travel("2030-01-01T00:00:00Z", tick=False)  # all within one minute
def test_the_other_forms_of_visitors_share_the_limits_of_the_api(admin_ops, settings, path, fields, limit):
    settings.RATE_LIMIT_SCALE = 1
    use_up(limit)
    admin_ops.get(path)

    answer = admin_ops.submit_form(path, fields)

    assert (answer.status_code, "Too many requests" in answer.content.decode()) == (429, True)


def test_a_customers_session_is_shown_the_login_page(admin_ops, customer):
    answer = open_dashboard(admin_ops, customer)

    assert answer.status_code == 302
    assert answer["Location"] == "/admin/login/?next=/admin/"


def test_logging_out_ends_the_session_everywhere(admin_ops, staff_member):
    open_dashboard(admin_ops, staff_member)
    assert admin_ops.get("/admin/logout/").status_code == 405

    answer = admin_ops.submit_form("/admin/logout/", {})

    assert answer["Location"] == "/admin/login/"
    assert admin_ops.get("/api/admin/auth/me", token=staff_member.token).status_code == 401


def test_djangos_own_password_pages_do_not_exist(admin_ops, staff_member):
    open_dashboard(admin_ops, staff_member)

    assert admin_ops.get("/admin/password_change/").status_code == 404
    assert admin_ops.get(f"/admin/accounts/user/{staff_member.user.pk}/password/").status_code == 302
    assert not admin_ops.login(username=staff_member.user.email, password=PASSWORD)


@pytest.mark.parametrize("path", TABLES)
def test_every_table_opens_for_an_admin_and_can_be_searched(admin_ops, customer, staff_member, path):
    open_dashboard(admin_ops, staff_member)

    assert admin_ops.get(path).status_code == 200
    assert admin_ops.get(f"{path}?q=nothing").status_code == 200
    assert admin_ops.get(f"{path}add/").status_code == (200 if path in CREATED_BY_STAFF else 403)


@pytest.mark.parametrize("path", [path for path in TABLES if "auditevent" in path])
def test_support_does_not_see_what_its_role_does_not_show(admin_ops, path):
    open_dashboard(admin_ops, user_factories.create_staff_member("", StaffRole.SUPPORT_WRITE))

    dashboard = admin_ops.get("/admin/")
    assert admin_ops.get(path).status_code == 403
    assert ("Audit events" in dashboard.content.decode(), "trail" in dashboard.context_data) == (False, False)


def test_staff_without_a_role_get_the_login_page(admin_ops):
    without_role = user_factories.create_staff_member("", StaffRole.AUDITOR)
    without_role.user.groups.clear()

    assert open_dashboard(admin_ops, without_role)["Location"] == "/admin/login/?next=/admin/"
    assert "not authorized" in admin_ops.get("/admin/login/").content.decode()


def test_a_persons_page_shows_neither_hash_nor_form(admin_ops, customer, staff_member):
    open_dashboard(admin_ops, staff_member)

    content = admin_ops.get(page(customer)).content.decode()

    assert customer.user.email in content
    assert "pbkdf2" not in content
    assert 'name="_save"' not in content
    assert 'name="email"' not in content


@pytest.mark.parametrize(
    "forged", [{"is_superuser": "on"}, {"is_staff": "on"}, {"password": "x"}, {"email": "evil@example.net"}]
)
def test_forged_fields_change_no_user(admin_ops, customer, staff_member, forged):
    open_dashboard(admin_ops, staff_member)
    before = User.objects.filter(pk=customer.user.pk).values().get()

    answer = admin_ops.submit_form(page(customer), forged)

    assert answer.status_code == 403
    assert User.objects.filter(pk=customer.user.pk).values().get() == before


def test_nothing_is_deleted_here(admin_ops, customer, staff_member):
    open_dashboard(admin_ops, staff_member)

    by_page = admin_ops.submit_form(f"/admin/accounts/user/{customer.user.pk}/delete/", {"post": "yes"})
    admin_ops.submit_form(
        "/admin/accounts/user/", {"action": "delete_selected", "_selected_action": customer.user.pk, "post": "yes"}
    )
    event = AuditEvent.objects.first()
    of_the_trail = admin_ops.submit_form(f"/admin/audit/auditevent/{event.pk}/delete/", {"post": "yes"})

    assert by_page.status_code == of_the_trail.status_code == 403
    assert User.objects.filter(pk=customer.user.pk).exists()
    assert AuditEvent.objects.filter(pk=event.pk).exists()


@pytest.mark.parametrize("lookup", ["password__startswith=pbkdf2", "groups__name=admin", "sessions__session_key__gt=a"])
def test_a_column_that_is_not_offered_cannot_be_probed(admin_ops, staff_member, lookup):
    open_dashboard(admin_ops, staff_member)

    assert admin_ops.get(f"/admin/accounts/user/?{lookup}").status_code == 400


def test_neither_the_hash_of_a_cookie_nor_what_a_mail_filled_in_is_shown(admin_ops, customer, staff_member):
    open_dashboard(admin_ops, staff_member)
    row = LoginSession.objects.get(sid=customer.session_id)
    mail = Mail.objects.get(recipient=customer.user.email)
    Mail.objects.filter(pk=mail.pk).update(context={"link": "https://example.net/reset#secret"})

    sessions = admin_ops.get("/admin/accounts/loginsession/").content.decode()
    detail = admin_ops.get(f"/admin/accounts/loginsession/{row.pk}/change/")
    mailed = admin_ops.get(f"/admin/mail/mail/{mail.pk}/change/").content.decode()

    assert customer.session_id in sessions
    assert row.pk not in sessions
    assert detail.status_code == 302
    assert customer.user.email in mailed
    assert "secret" not in mailed


def test_a_bulk_ban_asks_for_confirmation_and_a_reason(admin_ops, product, customer, staff_member):
    open_dashboard(admin_ops, staff_member)

    asked = ban(admin_ops, customer)
    without = ban(admin_ops, customer, confirmed="yes", reason="")
    assert "Ban 1 user?" in asked.content.decode()
    assert "This field is required." in without.content.decode()
    assert product.get("/api/auth/me", token=customer.token).status_code == 200

    answer = ban(admin_ops, customer, confirmed="yes", reason="spam")

    assert answer.status_code == 302
    assert product.get("/api/auth/me", token=customer.token).status_code == 401
    event = AuditEvent.objects.get(action="user.banned")
    assert (event.actor, event.target, event.reason) == (staff_member.user.pk, customer.user.pk, "spam")
    assert "is banned." in admin_ops.get("/admin/accounts/user/").content.decode()
    assert not LogEntry.objects.exists()


def test_a_bulk_ban_reports_refusals_and_bans_the_others(admin_ops, customer, staff_member):
    open_dashboard(admin_ops, staff_member)

    ban(admin_ops, customer, staff_member, confirmed="yes", reason="spam")

    shown = admin_ops.get("/admin/accounts/user/").content.decode()
    assert f"{staff_member.user}: You cannot ban yourself." in shown
    assert User.objects.get(pk=customer.user.pk).status == "disabled"
    assert User.objects.get(pk=staff_member.user.pk).status == "active"
    ban(admin_ops, customer, confirmed="yes", reason="again")
    assert f"{customer.user}: {BAN.unavailable}" in admin_ops.get("/admin/accounts/user/").content.decode()


def test_a_bulk_action_refuses_more_rows_than_its_bound(admin_ops, customer, other, staff_member, monkeypatch):
    monkeypatch.setattr(action_pages, "MAX_ROWS", 1)
    open_dashboard(admin_ops, staff_member)

    ban(admin_ops, customer, other, confirmed="yes", reason="spam")

    assert "Choose at most 1 at once." in admin_ops.get("/admin/accounts/user/").content.decode()
    assert not User.objects.filter(status="disabled").exists()
    ban(admin_ops, customer, confirmed="yes", reason="spam")

    assert User.objects.get(status="disabled") == customer.user


def test_unbanning_needs_no_reason(admin_ops, customer, staff_member):
    open_dashboard(admin_ops, staff_member)
    ban(admin_ops, customer, confirmed="yes", reason="spam")

    admin_ops.submit_form(
        "/admin/accounts/user/",
        {"action": "unban_selected", "_selected_action": customer.user.pk, "confirmed": "yes", "reason": ""},
    )

    assert User.objects.get(pk=customer.user.pk).status == "active"


def test_support_that_may_only_read_is_offered_no_ban(admin_ops, customer):
    open_dashboard(admin_ops, user_factories.create_staff_member("", StaffRole.SUPPORT_READ))

    ban(admin_ops, customer, confirmed="yes", reason="spam")

    assert "Ban" not in admin_ops.get(page(customer)).content.decode()
    assert "ban_selected" not in admin_ops.get("/admin/accounts/user/").content.decode()
    assert User.objects.get(pk=customer.user.pk).status == "active"


@pytest.mark.parametrize("path", ["/admin/", "/admin/accounts/user/", "person", "/admin/login/", "/admin/password/"])
def test_pages_load_only_from_here_and_run_no_inline_script(admin_ops, customer, staff_member, path):
    if path not in ("/admin/login/", "/admin/password/"):
        open_dashboard(admin_ops, staff_member)

    answer = admin_ops.get(page(customer) if path == "person" else path)

    policy, content = answer["Content-Security-Policy"], answer.content.decode()
    assert answer.status_code == 200
    assert "default-src 'none'; script-src 'self' 'unsafe-eval';" in policy  # what is inline does not run
    assert not re.search(r"<script(?![^>]*\bsrc=)| on[a-z]+=|javascript:", content)
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", content)


def test_the_api_keeps_its_own_content_security_policy(admin_ops, staff_member):
    policy = admin_ops.get("/api/admin/auth/me", token=staff_member.token)["Content-Security-Policy"]

    assert policy == "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"
