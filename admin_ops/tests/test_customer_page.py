"""A user's admin page: timeline, facts and staff actions."""

from datetime import timedelta

import pytest
from django.utils import timezone

from admin_ops.tests.pages import confirm_form, open_admin_site
from admin_ops.timeline import MAX_PER_SOURCE, build_timeline
from saas import request_context
from saas.accounts.models import Impersonation, LoginSession, StaffRole, UserNote
from saas.accounts.staff import staff_administration
from saas.accounts.staff.staff_roles import StaffPermission
from saas.audit.actions import record
from saas.audit.models import AuditEvent
from saas.billing import checkouts, entitlements
from saas.billing.models import Customer, EntitlementOverride
from saas.mail.models import Mail
from saas.testing.factories import event_factories, user_factories
from saas.testing.factories.user_factories import PASSWORD
from saas.testing.mails import link_token
from saas.webhook_events.models import WebhookEvent

PERSON = "/admin/accounts/user/"
LAST_DAY = f"{timezone.now() + timedelta(days=200):%Y-%m-%d}"


def page_url(person, action_name=""):
    return f"{PERSON}{person.user.pk}/" + (f"do/{action_name}/" if action_name else "change/")


def page(admin_site, person, query=""):
    return admin_site.get(page_url(person) + query).content.decode()


def test_the_timeline_has_every_kind_of_entry_newest_first(admin_site, customer, staff_member, drain):
    checkouts.start_checkout(customer.user, plan_id="growth")
    drain()
    staff_administration.add_note(customer.user, by=staff_member.user, text="Called about an invoice.")
    staff_administration.revoke_sessions(customer.user, by=staff_member.user, reason="lost phone")

    entries = build_timeline(customer.user)

    titles = [entry.label.title for entry in entries]
    assert titles[0] == "Logged out everywhere by staff"
    assert {"Registered", "Logged in", "Started a checkout", "Note", "Growth: new"} <= set(titles)
    assert {entry.kind for entry in entries} == {"account", "staff", "money", "webhook", "mail", "note"}
    assert [entry.at for entry in entries] == sorted((entry.at for entry in entries), reverse=True)
    assert "by " + staff_member.user.email in page(admin_site, customer)


def test_a_failed_event_stands_out_and_leads_to_its_page(admin_site, customer, drain):
    checkouts.start_checkout(customer.user, plan_id="growth")
    event = WebhookEvent.objects.get(type="invoice.paid")
    WebhookEvent.objects.filter(pk=event.pk).update(status="failed", last_error="Broken: no such plan")

    content = page(admin_site, customer)

    assert "An invoice was paid – failed" in content
    assert "Broken: no such plan" in content
    assert f"/admin/webhook_events/webhookevent/{event.pk}/change/" in content


def test_the_timeline_has_mails_to_an_earlier_address_that_is_nobody_elses(product, customer):
    earlier = customer.user.email
    product.post("/api/auth/email/verify", {"token": link_token("welcome")})
    product.post("/api/auth/email/change", {"new_email": "new@example.org"}, token=customer.token)
    product.post("/api/auth/email/verify", {"token": link_token("confirm_new_email")})
    customer.user.refresh_from_db()

    assert "welcome" in mails_of(customer.user)
    user_factories.create_customer(earlier)
    assert "welcome" not in mails_of(customer.user)


def mails_of(user):
    pks = [entry.link[1] for entry in build_timeline(user) if entry.kind == "mail"]
    return set(Mail.objects.filter(pk__in=pks).values_list("template", flat=True))


def test_the_requests_of_an_impersonation_are_one_timeline_entry(
    admin_site, product, admin_ops, customer, staff_member
):
    token = admin_ops.post(
        f"/api/admin/users/{customer.user.pk}/impersonate", {"reason": "ticket 7"}, token=staff_member.token
    )
    for _ in range(3):
        product.get("/api/auth/me", token=token.json()["access_token"])

    lines = [(entry.label.title, entry.label.detail, entry.by) for entry in build_timeline(customer.user)]

    assert ("3 requests in their name", "ticket 7", staff_member.user.email) in lines


def test_the_timeline_is_filtered_by_kind(admin_site, customer):
    content = page(admin_site, customer, "?kind=mail")

    assert "Mail “welcome” queued" in content
    assert "Registered" not in content
    assert "Nothing of this kind yet." in page(admin_site, customer, "?kind=note")


def test_what_staff_did_is_found_among_however_much_of_their_own(customer, staff_member):
    staff_administration.revoke_sessions(customer.user, by=staff_member.user, reason="lost phone")
    for _ in range(MAX_PER_SOURCE + 1):
        record("session.opened", actor=customer.user.pk, target=customer.session_id)

    entries = build_timeline(customer.user)

    by_staff = [(entry.label.title, entry.by) for entry in entries if entry.kind == "staff"]
    assert by_staff == [("Logged out everywhere by staff", staff_member.user.email)]
    assert len([entry for entry in entries if entry.kind == "account"]) == MAX_PER_SOURCE


def test_the_page_costs_the_same_however_long_the_timeline_is(
    admin_site, customer, staff_member, django_assert_max_num_queries
):
    checkouts.start_checkout(customer.user, plan_id="growth")
    for number in range(30):
        staff_administration.add_note(customer.user, by=staff_member.user, text=f"Note {number}")

    page(admin_site, customer)  # content types are kept from then on
    with django_assert_max_num_queries(44):
        page(admin_site, customer)


def test_what_a_person_typed_is_shown_as_text(admin_site, staff_member):
    evil = user_factories.create_customer(full_name="<script>alert(1)</script>")
    staff_administration.add_note(evil.user, by=staff_member.user, text="<img src=x onerror=alert(1)>")

    content = page(admin_site, evil)

    assert "<script>alert" not in content
    assert "<img src=x" not in content
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in content


@pytest.mark.parametrize(
    ("action_name", "fields", "audited"),
    [
        ("ban", {"reason": "spam"}, "user.banned"),
        ("revoke-sessions", {"reason": "lost phone"}, "user.sessions_revoked"),
        ("send-reset", {"reason": "asked by phone"}, "password.reset_sent"),
        ("give-plan", {"reason": "sorry", "plan": "scale", "last_day": LAST_DAY}, "entitlement.given"),
        ("give-more", {"reason": "pilot", "what": "limit:seats", "value": "40", "last_day": LAST_DAY}, "entitlement.given"),
        ("give-more", {"reason": "pilot", "what": "feature:sso", "last_day": LAST_DAY}, "entitlement.given"),
    ],
)  # fmt: skip
def test_an_action_says_what_it_does_and_is_audited_with_its_reason(
    admin_site, customer, staff_member, action_name, fields, audited
):
    asked = admin_site.get(page_url(customer, action_name))
    before = AuditEvent.objects.filter(action=audited).count()

    done = confirm_form(admin_site, page_url(customer, action_name), fields)

    assert (asked.status_code, before) == (200, 0)
    assert (done.status_code, done["Location"]) == (302, page_url(customer))
    event = AuditEvent.objects.get(action=audited)
    assert (event.actor, event.target, event.reason) == (staff_member.user.pk, customer.user.pk, fields["reason"])
    assert event.request_id


def test_a_note_is_kept(admin_site, customer, staff_member):
    admin_site.submit_form(page_url(customer, "note"), {"text": "Prefers mail."})

    assert UserNote.objects.get().text == "Prefers mail."
    assert "Prefers mail." in page(admin_site, customer)


def test_without_a_reason_nothing_happens(admin_site, customer):
    answer = admin_site.submit_form(page_url(customer, "ban"), {"reason": " "})

    assert (answer.status_code, b"This field is required." in answer.content) == (422, True)
    customer.user.refresh_from_db()
    assert customer.user.is_active


def test_what_is_given_counts_and_can_be_taken_back(admin_site, customer):
    confirm_form(
        admin_site, page_url(customer, "give-plan"), {"reason": "sorry", "plan": "scale", "last_day": LAST_DAY}
    )
    given = EntitlementOverride.objects.get()
    assert entitlements.get_limit(customer.user, "seats") is None
    assert "given until" in page(admin_site, customer)

    done = admin_site.submit_form(
        f"/admin/billing/entitlementoverride/{given.pk}/do/end/", {"reason": "paid meanwhile"}
    )

    assert done["Location"] == page_url(customer)
    assert entitlements.get_limit(customer.user, "seats") == 3
    again = admin_site.submit_form(f"/admin/billing/entitlementoverride/{given.pk}/do/end/", {"reason": "again"})
    assert (again.status_code, b"This has ended already." in again.content) == (409, True)


def test_a_refusal_of_the_domain_is_shown_on_the_form(admin_site, customer):
    answer = admin_site.submit_form(
        page_url(customer, "give-plan"), {"reason": "sorry", "plan": "scale", "last_day": "2020-01-01"}
    )

    assert answer.status_code == 422
    assert "within the next three years" in answer.content.decode()
    assert not EntitlementOverride.objects.exists()


NEEDED = {
    "impersonate": StaffPermission.IMPERSONATE, "note": StaffPermission.NOTE_USERS, "give-plan": StaffPermission.GIVE_ACCESS,
    "give-more": StaffPermission.GIVE_ACCESS, "send-reset": StaffPermission.RECOVER_USERS, "ban": StaffPermission.BAN_USERS,
    "revoke-sessions": StaffPermission.END_SESSIONS, "reset-mfa": StaffPermission.RECOVER_USERS,
    "extend-trial": StaffPermission.GIVE_ACCESS, "unban": StaffPermission.BAN_USERS, "metadata": StaffPermission.NOTE_USERS,
    "delete": StaffPermission.BAN_USERS, "roles": StaffPermission.MANAGE_STAFF,
}  # fmt: skip


@pytest.mark.parametrize("action_name", NEEDED)
@pytest.mark.parametrize("role", [StaffRole.SUPPORT_READ, StaffRole.AUDITOR])
def test_read_only_staff_are_refused_every_action(admin_ops, customer, role, action_name):
    reader = user_factories.create_staff_member("", role)
    open_admin_site(admin_ops, reader)

    assert admin_ops.get(page_url(customer, action_name)).status_code == 403
    assert admin_ops.submit_form(page_url(customer, action_name), {"reason": "x", "text": "x"}).status_code == 403
    assert not AuditEvent.objects.filter(actor=reader.user.pk).exclude(action="session.opened").exists()


def test_read_only_staff_see_no_action(admin_ops, customer):
    admin_ops.cookies["saas_admin_session"] = user_factories.create_staff_member("", StaffRole.SUPPORT_READ).cookie_key

    assert "/do/" not in page(admin_ops, customer)


def test_every_action_on_a_person_is_in_the_table_above():
    from admin_ops.admin import admin_site as site
    from saas.accounts.models import User

    assert {action.name: action.permission for action in site._registry[User].staff_actions} == NEEDED


@pytest.mark.parametrize("path", ["do/nothing/", "do/ban/"])
def test_what_is_not_there_is_404(admin_site, customer, path):
    person = customer.user.pk if path == "do/nothing/" else "usr_nobody"

    assert admin_site.get(f"{PERSON}{person}/{path}").status_code == 404


def test_impersonating_from_the_admin_site_is_read_only_and_private(admin_site, admin_ops, customer, staff_member):
    done = admin_site.submit_form(page_url(customer, "impersonate"), {"reason": "ticket 7", "minutes": "5"})
    row = Impersonation.objects.get()

    shown = admin_site.get(done["Location"])

    assert (row.may_write, row.reason, row.staff_session.sid) == (False, "ticket 7", staff_member.session_id)
    assert customer.user.email in shown.content.decode()
    assert 'action="http://localhost:8000/impersonation"' in shown.content.decode()
    other = user_factories.create_staff_member("")
    admin_ops.cookies["saas_admin_session"] = other.cookie_key
    assert admin_ops.get(done["Location"]).status_code == 403


def test_a_refused_impersonation_is_shown_and_audited(admin_site, customer, staff_member):
    LoginSession.objects.filter(sid=staff_member.session_id).update(authenticated_at="2020-01-01T00:00Z")

    answer = admin_site.submit_form(page_url(customer, "impersonate"), {"reason": "ticket 7", "minutes": "5"})

    assert (answer.status_code, b"Confirm your password first." in answer.content) == (422, True)
    assert AuditEvent.objects.get(action="impersonation.refused").data == {"code": "reauth_required"}
    assert not Impersonation.objects.exists()


def test_impersonation_shares_the_rate_limit_of_the_api(admin_site, admin_ops, customer, staff_member, settings):
    settings.RATE_LIMIT_SCALE = 1
    for _ in range(20):
        admin_ops.post(f"/api/admin/users/{customer.user.pk}/impersonate", {"reason": ""}, token=staff_member.token)

    answer = admin_site.submit_form(page_url(customer, "impersonate"), {"reason": "ticket 7", "minutes": "5"})

    assert (answer.status_code, b"Too many requests" in answer.content) == (422, True)
    assert not Impersonation.objects.exists()


def test_only_an_admin_ends_anothers_impersonation_on_its_page(admin_ops, customer, staff_member):
    admin_ops.post(f"/api/admin/users/{customer.user.pk}/impersonate", {"reason": "ticket 7"}, token=staff_member.token)
    row = Impersonation.objects.get()
    support = user_factories.create_staff_member("", StaffRole.SUPPORT_WRITE)
    open_admin_site(admin_ops, support)

    answer = admin_ops.submit_form(f"/admin/accounts/impersonation/{row.pk}/do/end/", {"reason": ""})

    assert answer.status_code == 422
    row.refresh_from_db()
    assert row.ended_at is None


@pytest.mark.parametrize(
    "wanted",
    [
        "customer.external_id",
        "customer.pk",
        "subscription.external_id",
        "subscription.pk",
        "user.pk",
        "user.email",
    ],
)
def test_a_customer_is_found_by_any_id(admin_site, admin_ops, customer, other, staff_member, drain, wanted):
    checkouts.start_checkout(customer.user, plan_id="growth")
    drain()
    billing_customer = customer.user.billing_customers.get()
    rows = {"user": customer.user, "customer": billing_customer, "subscription": billing_customer.subscriptions.get()}
    name, _, field = wanted.partition(".")
    search = getattr(rows[name], field)

    listed = admin_site.get(f"{PERSON}?q={search}").content.decode()
    found = admin_ops.get(f"/api/admin/users?search={search}", token=staff_member.token).json()["users"]

    assert [row["email"] for row in found] == [customer.user.email]
    assert customer.user.email in listed
    assert other.user.email not in listed


def test_the_sidebar_search_finds_users_and_webhook_events(admin_site, customer):
    event_factories.drain()
    found = admin_site.get(f"/admin/search/?q={customer.user.email}").content.decode()

    assert customer.user.email in found
    assert Mail.objects.get(recipient=customer.user.email).template not in found


def found_by(client, term):
    return client.get(f"/admin/search/?q={term}").content.decode()


def test_the_search_shows_what_is_so_now_and_offers_to_see_what_they_see(admin_site, customer, staff_member):
    offer = page_url(customer, "impersonate")
    before = found_by(admin_site, customer.user.email)
    admin_site.submit_form(page_url(customer, "ban"), {"reason": "spam"})
    after = found_by(admin_site, customer.user.email)

    assert ("active" in before, f'href="{offer}"' in before) == (True, True)
    assert ("disabled" in after, "/do/" in after) == (True, False)


def test_the_search_finds_ids_of_the_provider_in_their_own_case(admin_site, customer):
    Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_NffrFeUfNV2Hib")

    assert customer.user.email in found_by(admin_site, "cus_NffrFeUfNV2Hib")


@pytest.mark.parametrize("term", ["", "&page=x", "%20", "a" * 5000])
def test_a_search_for_nothing_finds_nothing(admin_site, customer, term):
    answer = admin_site.get(f"/admin/search/?q={term}")

    assert (answer.status_code, customer.user.email in answer.content.decode()) == (200, False)


def test_lists_are_read_from_the_primary_after_a_change_of_ones_own(admin_site, customer, monkeypatch):
    said = []
    monkeypatch.setattr(request_context, "allow_old_reads", lambda: said.append("old"))

    admin_site.get("/admin/accounts/user/")
    before = list(said)
    done = admin_site.submit_form(page_url(customer, "ban"), {"reason": "spam"})
    admin_site.get("/admin/accounts/user/")
    cookie = done.cookies["saas_admin_changed"]

    assert (before, said) == (["old"], ["old"])
    assert (cookie["max-age"], cookie["httponly"], cookie["samesite"]) == (30, True, "Strict")


def test_the_password_of_an_old_login_comes_before_the_form(admin_site, customer, staff_member):
    LoginSession.objects.filter(sid=staff_member.session_id).update(authenticated_at="2020-01-01T00:00Z")
    path = f"{page_url(customer, 'impersonate')}?back=/admin/"

    asked = admin_site.get(path).content.decode()
    wrong = admin_site.submit_form(path, {"current_password": "not the password"})
    right = admin_site.submit_form(path, {"current_password": PASSWORD})
    shown = admin_site.get(path).content.decode()

    assert ('name="current_password"' in asked, 'name="reason"' in asked) == (True, False)
    assert (wrong.status_code, "This is not your password." in wrong.content.decode()) == (422, True)
    assert (right.status_code, right["Location"]) == (302, path)
    assert ('name="current_password"' in shown, 'name="reason"' in shown) == (False, True)
    assert not Impersonation.objects.exists()


def test_what_was_filled_in_while_the_login_grew_old_is_not_lost(admin_site, customer, staff_member):
    LoginSession.objects.filter(sid=staff_member.session_id).update(authenticated_at="2020-01-01T00:00Z")
    path, typed = page_url(customer, "impersonate"), {"reason": "ticket 7", "minutes": "5"}

    asked = admin_site.submit_form(path, typed).content.decode()
    done = admin_site.submit_form(path, {**typed, "current_password": PASSWORD})

    assert '<input type="hidden" name="reason" value="ticket 7">' in asked
    assert (done.status_code, Impersonation.objects.get().reason) == (302, "ticket 7")
