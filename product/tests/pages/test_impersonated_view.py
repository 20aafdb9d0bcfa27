"""Staff look at a customer's pages: opened by a code, read only, each request audited. (T95)"""

import re
from datetime import timedelta

import pytest
import time_machine
from django.db import DatabaseError
from django.utils import timezone

from saas.accounts.models import Impersonation, LoginSession, User
from saas.accounts.staff import impersonation_views, impersonations
from saas.accounts.staff.impersonations import ImpersonationRequest
from saas.audit.models import AuditEvent
from saas.billing.checkouts import start_checkout
from saas.billing.models import Invoice
from saas.testing.clients import ServiceClient
from saas.testing.concurrency import run_concurrently
from saas.testing.factories.user_factories import PASSWORD, Person, create_customer
from saas.webhook_events.models import WebhookEvent

READS = [
    "/account",
    "/account/email",
    "/account/security",
    "/account/devices",
    "/account/data",
    "/account/delete",
    "/billing",
]


@pytest.fixture
def impersonation(customer: Person, staff_member: Person) -> Impersonation:
    by = LoginSession.objects.get(user=staff_member.user)
    return impersonations.impersonate(customer.user, by=by, request=ImpersonationRequest("Cannot find their team"))[0]


def open_view(product: ServiceClient, code: str):
    """As the form of Admin ops sends it: from another site, without a CSRF token."""
    headers = {"Origin": "https://admin.example.com", "Sec-Fetch-Site": "cross-site"}
    kind = "application/x-www-form-urlencoded"
    return product.post("/impersonation", raw=f"code={code}".encode(), content_type=kind, headers=headers)


@pytest.fixture
def view(product: ServiceClient, impersonation: Impersonation) -> ServiceClient:
    assert open_view(product, impersonation_views.issue_view_code(impersonation)).status_code == 200
    return product


def requests_of(impersonation: Impersonation) -> list[tuple[str, str, int]]:
    rows = AuditEvent.objects.filter(action="impersonation.request", data__impersonation=impersonation.pk).order_by(
        "pk"
    )
    return [(row.data["method"], row.data["route"], row.data["status"]) for row in rows]


def test_a_code_is_exchanged_for_a_strict_cookie_that_ends_with_the_impersonation(
    product: ServiceClient, impersonation: Impersonation
) -> None:
    answer = open_view(product, impersonation_views.issue_view_code(impersonation))

    cookie = answer.cookies["saas_view"]
    assert (cookie["samesite"], cookie["httponly"], cookie["path"], cookie["domain"]) == ("Strict", True, "/", "")
    assert 14 * 60 < cookie["max-age"] <= 15 * 60
    assert 'http-equiv="refresh" content="0; url=/account"' in answer.content.decode()
    assert cookie.value not in str(Impersonation.objects.values().get())
    assert AuditEvent.objects.filter(action="impersonation.view_opened").count() == 1


def test_over_https_the_cookie_is_bound_to_the_host(product: ServiceClient, impersonation, settings) -> None:
    settings.SESSION_COOKIE_SECURE = True

    answer = open_view(product, impersonation_views.issue_view_code(impersonation))

    assert answer.cookies["__Host-saas_view"]["secure"] is True


def test_a_code_works_once_and_for_thirty_seconds(product: ServiceClient, impersonation: Impersonation) -> None:
    used = impersonation_views.issue_view_code(impersonation)
    open_view(product, used)
    again = open_view(product, used)
    late = impersonation_views.issue_view_code(impersonation)
    expires_at = Impersonation.objects.get().view_code_expires_at
    assert timedelta(seconds=29) < expires_at - timezone.now() <= timedelta(seconds=30)
    with time_machine.travel(expires_at, tick=False):
        too_late = open_view(product, late)
    replaced = impersonation_views.issue_view_code(impersonation)
    last = impersonation_views.issue_view_code(impersonation)

    answers = [again, too_late, open_view(product, replaced), open_view(product, ""), open_view(product, "view_x")]
    assert [(answer.status_code, "saas_view" in answer.cookies) for answer in answers] == [(400, False)] * 5
    end_by_staff(Impersonation.objects.select_related("session__user", "staff_session__user").get())
    assert open_view(product, last).status_code == 400
    assert AuditEvent.objects.filter(action="impersonation.view_opened").count() == 1


def test_a_code_of_a_former_member_of_staff_opens_no_view(product: ServiceClient, impersonation, staff_member) -> None:
    code = impersonation_views.issue_view_code(impersonation)
    User.objects.filter(pk=staff_member.user.pk).update(is_staff=False)

    assert open_view(product, code).status_code == 400
    assert not AuditEvent.objects.filter(action="impersonation.view_opened").exists()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_two_that_exchange_a_code_at_once_one_wins(impersonation: Impersonation) -> None:
    code = impersonation_views.issue_view_code(impersonation)

    outcomes = run_concurrently(*[lambda: impersonation_views.exchange_view_code(code)] * 2)

    assert outcomes == ["done", "view_code_invalid"]


@pytest.mark.parametrize("path", READS)
def test_the_pages_are_the_customers_with_a_banner_and_an_audit_event_each(
    view: ServiceClient, impersonation: Impersonation, customer: Person, path: str
) -> None:
    answer = view.get(path)

    html = answer.content.decode()
    assert answer.status_code == 200
    assert f"You see what <strong>{customer.user.email}</strong> sees, reading only" in html
    assert "Cannot find their team" in html
    assert requests_of(impersonation) == [("GET", path[1:], 200)]


@pytest.mark.parametrize("path", [*READS[:-1], "/account/password", "/account/second-factor"])
def test_nothing_is_sent_from_the_view(
    view: ServiceClient, impersonation: Impersonation, customer: Person, path: str
) -> None:
    before = LoginSession.objects.live().filter(user=customer.user).count()
    view.get(path)

    answer = view.submit_form(path, {"full_name": "Taken", "new_password": "an entirely new phrase", "do": "on"})

    assert answer.status_code == 403
    assert "This is not done in someone else&#x27;s name." in answer.content.decode()
    assert requests_of(impersonation)[-1] == ("POST", path[1:], 403)
    customer.user.refresh_from_db()
    assert (customer.user.full_name != "Taken", customer.user.check_password(PASSWORD)) == (True, True)
    assert LoginSession.objects.live().filter(user=customer.user).count() == before


def test_a_secret_of_the_customer_is_not_shown(view: ServiceClient, customer: Person) -> None:
    from saas.accounts import second_factor

    secret = second_factor.begin_totp_setup(customer.user).secret

    answer = view.get("/account/second-factor/setup")

    assert (answer.status_code, secret in answer.content.decode()) == (403, False)


def test_the_payment_provider_is_asked_nothing_in_the_view(view: ServiceClient, customer: Person) -> None:
    """A request in an impersonated view runs in a transaction (decision 23)."""
    assert view.get("/billing/checkout?plan=growth").status_code == 403
    start_checkout(customer.user, plan_id="growth")
    Invoice.objects.update(hosted_url="https://invoice.example/stored")

    page = view.get("/billing?from=portal").content.decode()

    assert "Next invoice" not in page
    assert not WebhookEvent.objects.filter(source=WebhookEvent.Source.FETCH).exists()
    assert view.get(f"/billing/invoice/{Invoice.objects.get().pk}").headers["Location"].endswith("/stored")
    assert view.get("/billing/change?plan=starter").status_code == 403


@pytest.mark.parametrize("path", ["/api/auth/me", "/api/users/profile", "/api/users/export", "/api/teams"])
def test_no_api_reads_the_cookie(view: ServiceClient, parity, path: str) -> None:
    assert view.get(path).status_code == 401


def test_it_wins_over_a_customers_own_cookie_and_changes_none(
    product: ServiceClient, impersonation: Impersonation, customer: Person
) -> None:
    own = create_customer(full_name="Own Person")
    product.get("/login")
    product.submit_form("/login", {"email": own.user.email, "password": PASSWORD})
    cookie = product.cookies["saas_session"].value

    open_view(product, impersonation_views.issue_view_code(impersonation))
    assert customer.user.email in product.get("/account").content.decode()
    assert product.get("/api/auth/me").json()["user"]["email"] == own.user.email

    left = product.submit_form("/impersonation/leave", {})
    assert (left.status_code, product.cookies["saas_view"].value) == (302, "")
    assert own.user.email in product.get("/account").content.decode()
    assert product.cookies["saas_session"].value == cookie
    assert Impersonation.objects.get().ended_at is not None


def end_by_staff(row: Impersonation) -> None:
    assert row.staff_session.user
    impersonations.end_impersonation(row, by=row.staff_session.user)


def log_staff_out(row: Impersonation) -> None:
    LoginSession.objects.filter(pk=row.staff_session_id).update(revoked_at=timezone.now())


def demote(row: Impersonation) -> None:
    assert row.staff_session.user
    row.staff_session.user.groups.clear()
    type(row.staff_session.user).objects.filter(pk=row.staff_session.user_id).update(is_superuser=False)


def ban_the_customer(row: Impersonation) -> None:
    assert row.session.user
    type(row.session.user).objects.filter(pk=row.session.user_id).update(status="disabled")


def end_by_the_customer(row: Impersonation) -> None:
    LoginSession.objects.filter(pk=row.session_id).update(revoked_at=timezone.now())


@pytest.mark.parametrize(
    "end", [end_by_staff, log_staff_out, demote, ban_the_customer, end_by_the_customer], ids=lambda end: end.__name__
)
def test_it_ends_with_the_next_request(view: ServiceClient, impersonation: Impersonation, end) -> None:
    assert view.get("/account").status_code == 200

    end(Impersonation.objects.select_related("session__user", "staff_session__user").get(pk=impersonation.pk))

    assert view.get("/account").headers["Location"] == "/login?next=%2Faccount"


def test_switched_off_it_neither_opens_nor_goes_on(view: ServiceClient, settings) -> None:
    settings.IMPERSONATION_ENABLED = False

    assert view.get("/account").status_code == 302


def test_it_ends_with_its_minutes(view: ServiceClient) -> None:
    with time_machine.travel(timezone.now() + timedelta(minutes=15, seconds=1), tick=False):
        assert view.get("/account").status_code == 302


def test_without_its_audit_event_there_is_no_page(
    view: ServiceClient, impersonation: Impersonation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise DatabaseError("the trail cannot be written")

    monkeypatch.setattr(impersonations, "record", fail)

    answer = view.get("/account", headers={"Accept": "text/html"})

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert requests_of(impersonation) == []


def test_every_other_address_keeps_its_origin_check(product: ServiceClient, admin_ops, db) -> None:
    headers = {"Origin": "https://admin.example.com"}

    answers = [
        product.post("/impersonation/leave", headers=headers),
        product.post("/login", headers=headers),
        admin_ops.post("/impersonation", headers=headers),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, "origin_not_allowed")] * 3


def test_guessing_codes_is_limited(product: ServiceClient, db, settings) -> None:
    settings.RATE_LIMIT_SCALE = 1

    statuses = [open_view(product, f"view_{number}").status_code for number in range(21)]

    assert statuses == [400] * 20 + [429]


def test_the_page_of_admin_ops_shows_the_form_after_the_password(
    admin_ops: ServiceClient, product: ServiceClient, customer: Person, staff_member: Person
) -> None:
    admin_ops.post("/api/admin/auth/login", {"email": staff_member.user.email, "password": PASSWORD})
    by = LoginSession.objects.filter(user=staff_member.user).latest("created_at")
    row = impersonations.impersonate(customer.user, by=by, request=ImpersonationRequest("A question"))[0]
    path = f"/admin/accounts/impersonation/{row.pk}/impersonated-view/"

    fresh = admin_ops.get(path)
    LoginSession.objects.filter(pk=by.pk).update(authenticated_at=timezone.now() - timedelta(minutes=6))
    old = admin_ops.get(path)
    wrong = admin_ops.submit_form(path, {"current_password": "not the password"})
    right = admin_ops.submit_form(path, {"current_password": PASSWORD})

    codes = [
        re.findall(r'name="code" value="(view_[^"]+)"', answer.content.decode())
        for answer in (fresh, old, wrong, right)
    ]
    assert [len(found) for found in codes] == [1, 0, 0, 1]
    assert "This is not your password." in wrong.content.decode()
    assert 'action="http://localhost:8000/impersonation"' in right.content.decode()
    assert "form-action 'self' http://localhost:8000;" in right.headers["Content-Security-Policy"]
    assert open_view(product, codes[3][0]).status_code == 200


def test_another_member_of_staff_gets_no_form(admin_ops: ServiceClient, impersonation: Impersonation, db) -> None:
    from saas.testing.factories.user_factories import create_staff_member

    colleague = create_staff_member()
    admin_ops.post("/api/admin/auth/login", {"email": colleague.user.email, "password": PASSWORD})

    assert admin_ops.get(f"/admin/accounts/impersonation/{impersonation.pk}/impersonated-view/").status_code == 403
