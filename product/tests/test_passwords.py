"""Passwords: changed, forgotten and reset (T06, T13, T32 to T36), and what registering a taken address does (T37)."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.hashers import check_password
from django.db import connections
from django.test import override_settings

from saas.accounts import tasks
from saas.accounts.models import FailedAttempts, LoginSession, OAuthIdentity, OneTimeToken, ResetRequest, User
from saas.accounts.passwords.password_change import change_password
from saas.accounts.passwords.password_reset_mails import handle_reset_request
from saas.accounts.sessions.logins import InvalidCredentials
from saas.accounts.staff import staff_administration
from saas.audit.models import AuditEvent
from saas.mail.models import Mail
from saas.testing.clients import ServiceClient
from saas.testing.factories import user_factories
from saas.testing.factories.user_factories import PASSWORD, Person
from saas.testing.mails import deliver_queued_mails, link_token

NEW = "an entirely new phrase"
REFUSED_PASSWORDS = pytest.mark.parametrize("password", ["short", "password1234", "x" * 201, "Product", 7, None])


def forgot(product: ServiceClient, email: Any) -> Any:
    answered = product.post("/api/auth/password/forgot", {"email": email})
    for row in ResetRequest.objects.filter(handled_at=None):
        handle_reset_request(row.pk)
    return answered


def mailed_token(product: ServiceClient, person: Person) -> str:
    assert forgot(product, person.user.email).status_code == 202
    return link_token("password_reset")


def reset(product: ServiceClient, token: str, password: str = NEW) -> Any:
    return product.post("/api/auth/password/reset", {"token": token, "new_password": password})


def log_in(product: ServiceClient, person: Person, password: str) -> int:
    return product.post("/api/auth/login", {"email": person.user.email, "password": password}).status_code


def assert_invalid(answered: Any) -> None:
    assert (answered.status_code, answered.json()["code"]) == (400, "link_invalid")


def later(**by: int) -> Any:
    return time_machine.travel(datetime.now(UTC) + timedelta(**by))


# ── Change ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_changed_password_logs_out_every_other_client(product, customer: Person) -> None:
    second = product.post("/api/auth/login", {"email": customer.user.email, "password": PASSWORD}).json()

    fresh = product.post(
        "/api/auth/password/change", {"current_password": PASSWORD, "new_password": NEW}, token=customer.token
    )

    assert fresh.status_code == 200
    assert product.get("/api/auth/me", token=fresh.json()["access_token"]).status_code == 200
    assert product.get("/api/auth/me").status_code == 200  # by the new cookie
    assert LoginSession.objects.filter(revoked_at=None).count() == 1
    assert product.get("/api/auth/me", token=customer.token).status_code == 401
    assert product.get("/api/auth/me", token=second["access_token"]).status_code == 401
    assert product.post("/api/auth/refresh", {"refresh_token": customer.refresh_token}).status_code == 401
    assert product.post("/api/auth/refresh", {"refresh_token": second["refresh_token"]}).status_code == 401
    assert (log_in(product, customer, PASSWORD), log_in(product, customer, NEW)) == (401, 200)
    assert [mail.subject for mail in deliver_queued_mails("password_changed")] == ["Your password was changed"]
    assert AuditEvent.objects.get(action="password.changed").target == customer.user.id


def test_a_ban_meanwhile_changes_no_password(customer: Person) -> None:
    session = LoginSession.objects.select_related("user").get(sid=customer.session_id)
    User.objects.update(status=User.Status.DISABLED)

    with pytest.raises(InvalidCredentials):
        change_password(session, new_password=NEW)

    assert User.objects.get().check_password(PASSWORD)


def test_an_old_login_needs_the_current_password(product, customer: Person) -> None:
    path, body = "/api/auth/password/change", {"new_password": NEW}
    with later(minutes=6):
        without = product.post(path, body, token=customer.token)
        wrong = product.post(path, {**body, "current_password": "not the password"}, token=customer.token)
        assert User.objects.get().check_password(PASSWORD)
        right = product.post(path, {**body, "current_password": PASSWORD}, token=customer.token)

    assert (without.status_code, without.json()["code"]) == (403, "reauth_required")
    assert (wrong.status_code, list(wrong.json()["errors"])) == (422, ["current_password"])
    assert right.status_code == 200


def test_reauthenticating_makes_an_old_login_fresh(product, customer: Person) -> None:
    with later(minutes=6):
        answered = product.post("/api/auth/reauthenticate", {"current_password": PASSWORD}, token=customer.token)
        changed = product.post("/api/auth/password/change", {"new_password": NEW}, token=customer.token)

    assert (answered.status_code, changed.status_code) == (204, 200)


def test_guessing_the_current_password_makes_its_session_wait(product, customer: Person) -> None:
    for _ in range(5):
        product.post("/api/auth/reauthenticate", {"current_password": "not the password"}, token=customer.token)

    sixth = product.post("/api/auth/reauthenticate", {"current_password": PASSWORD}, token=customer.token)

    assert (sixth.status_code, sixth.json()["code"]) == (429, "too_many_attempts")
    assert log_in(product, customer, PASSWORD) == 200  # elsewhere: see test_known_devices.py


@REFUSED_PASSWORDS
def test_a_changed_password_keeps_to_the_rules(product, customer: Person, password: Any) -> None:
    answered = product.post("/api/auth/password/change", {"new_password": password}, token=customer.token)

    assert (answered.status_code, list(answered.json()["errors"])) == (422, ["new_password"])
    assert User.objects.get().check_password(PASSWORD)


# ── Reset ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@REFUSED_PASSWORDS
def test_a_reset_password_keeps_to_the_rules(product, customer: Person, password: Any) -> None:
    answered = reset(product, mailed_token(product, customer), password)

    assert (answered.status_code, list(answered.json()["errors"])) == (422, ["new_password"])
    assert User.objects.get().check_password(PASSWORD)


def test_a_reset_sets_the_password_logs_everybody_out_and_nobody_in(product, customer: Person) -> None:
    done = reset(product, mailed_token(product, customer))

    assert (done.status_code, done.json()) == (200, {"status": "password_set"})
    assert "saas_session" not in done.cookies
    assert product.get("/api/auth/me", token=customer.token).status_code == 401
    assert not LoginSession.objects.live().exists()
    assert (log_in(product, customer, PASSWORD), log_in(product, customer, NEW)) == (401, 200)
    assert len(deliver_queued_mails("password_changed")) == 1
    assert AuditEvent.objects.filter(action="password.reset").count() == 1


def test_forgotten_is_answered_alike_whatever_the_address(
    product, customer: Person, staff_member: Person, other: Person
) -> None:
    staff_administration.ban_user(other.user, by=staff_member.user, reason="spam")
    deliver_queued_mails()
    addresses = [customer.user.email, "nobody@example.net", other.user.email, staff_member.user.email]

    answers = [product.post("/api/auth/password/forgot", {"email": address}) for address in addresses]
    assert ResetRequest.objects.filter(handled_at=None).count() == 4
    for row in ResetRequest.objects.all():
        handle_reset_request(row.pk)

    assert {(a.status_code, a.content) for a in answers} == {(202, b'{"status":"accepted"}')}
    assert [mail.to for mail in deliver_queued_mails()] == [[customer.user.email]]


def test_a_reset_needs_neither_a_password_nor_a_confirmed_address(product, customer: Person) -> None:
    User.objects.update(password="!", email_verified_at=None)

    assert forgot(product, customer.user.email).status_code == 202
    assert [mail.to for mail in deliver_queued_mails("password_reset")] == [[customer.user.email]]


def test_a_request_whose_doorbell_was_lost_is_found_and_answered_once(product, customer: Person) -> None:
    product.post("/api/auth/password/forgot", {"email": customer.user.email})

    tasks.sweep()  # for ten seconds it is the lost task's to answer
    early = Mail.objects.filter(template="password_reset").count()
    with later(seconds=11):
        tasks.sweep()
        tasks.sweep()
    tasks.answer_reset_request(ResetRequest.objects.get().pk)

    assert (early, Mail.objects.filter(template="password_reset").count()) == (0, 1)
    assert AuditEvent.objects.filter(action="password.reset_sent", target=customer.user.id).count() == 1


def test_the_token_is_nowhere_in_the_database(product, customer: Person) -> None:
    forgot(product, customer.user.email)
    before = str(list(Mail.objects.values())) + str(list(OneTimeToken.objects.values()))

    token = link_token("password_reset")

    assert token.startswith("reset_")
    assert token not in before + str(list(Mail.objects.values()))
    assert Mail.objects.get(template="password_reset").sealed == {}  # emptied once it is sent


def test_a_link_works_once(product, customer: Person) -> None:
    token = mailed_token(product, customer)

    assert reset(product, token).status_code == 200
    assert_invalid(reset(product, token, "yet another new phrase"))
    assert User.objects.get().check_password(NEW)


def test_a_link_dies_after_half_an_hour(product, customer: Person) -> None:
    token = mailed_token(product, customer)

    with later(minutes=30, seconds=1):
        assert_invalid(reset(product, token))


def test_a_link_dies_when_a_newer_one_was_used(product, customer: Person) -> None:
    older, newer = mailed_token(product, customer), mailed_token(product, customer)

    assert reset(product, newer).status_code == 200
    assert_invalid(reset(product, older))


def test_a_link_dies_with_the_password_or_a_ban(product, customer: Person, other: Person, staff_member: Person) -> None:
    mine, theirs = mailed_token(product, customer), mailed_token(product, other)
    product.post("/api/auth/password/change", {"new_password": NEW}, token=customer.token)
    staff_administration.ban_user(other.user, by=staff_member.user, reason="spam")

    assert_invalid(reset(product, mine, "yet another new phrase"))
    assert_invalid(reset(product, theirs))
    staff_administration.unban_user(other.user, by=staff_member.user)
    assert_invalid(reset(product, theirs))


def test_a_link_dies_with_the_address_that_it_was_sent_to(product, customer: Person) -> None:
    token = mailed_token(product, customer)
    product.post("/api/auth/email/change", {"new_email": "new@example.net"}, token=customer.token)
    assert product.post("/api/auth/email/verify", {"token": link_token("confirm_new_email")}).status_code == 200

    assert_invalid(reset(product, token))


def test_a_reset_link_sets_the_password_of_its_own_account_only(product, customer: Person, other: Person) -> None:
    body = {
        "token": mailed_token(product, customer),
        "new_password": NEW,
        "user_id": other.user.pk,
        "email": other.user.email,
    }

    assert product.post("/api/auth/password/reset", body).status_code == 200

    assert User.objects.get(pk=other.user.pk).check_password(PASSWORD)
    assert User.objects.get(pk=customer.user.pk).check_password(NEW)


@pytest.mark.parametrize("token", ["reset_guessed", "verify_guessed", "\u00e9", "x" * 200])
def test_a_token_that_is_none_is_refused(product, customer: Person, token: str) -> None:
    assert_invalid(reset(product, token))


def test_a_token_for_verifying_does_not_reset(product) -> None:
    user_factories.create_customer()

    assert_invalid(reset(product, link_token("welcome")))


def test_a_reset_forgets_failed_logins(product, customer: Person) -> None:
    for _ in range(5):
        log_in(product, customer, "not the password")
    assert log_in(product, customer, PASSWORD) == 429

    reset(product, mailed_token(product, customer))

    product.cookies.clear()  # on another device than the one of the reset, too
    assert log_in(product, customer, NEW) == 200
    assert FailedAttempts.objects.get().count == 0


def test_a_reset_proves_the_mailbox_and_removes_what_a_squatter_attached(product, customer: Person) -> None:
    OAuthIdentity.objects.create(provider="oidc", issuer="https://id.example", subject="squatter", user=customer.user)

    reset(product, mailed_token(product, customer))

    assert User.objects.get().is_verified
    assert not OAuthIdentity.objects.exists()


def test_a_reset_of_a_verified_account_keeps_its_providers(product, customer: Person) -> None:
    User.objects.update(email_verified_at=customer.user.created_at)
    OAuthIdentity.objects.create(
        provider="oidc", issuer="https://id.example", subject="kim", user=customer.user,
        email=customer.user.email, email_is_verified=True,
    )  # fmt: skip

    reset(product, mailed_token(product, customer))

    assert OAuthIdentity.objects.count() == 1
    assert User.objects.get().email_verified_at == customer.user.created_at


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
def test_of_ten_confirmations_at_once_one_wins(service) -> None:
    product = service("product")
    token = mailed_token(product, user_factories.create_customer(email="kim@example.net"))
    statuses: list[int] = []

    def confirm(number: int) -> None:
        statuses.append(reset(service("product"), token, f"a new phrase, number {number}").status_code)
        connections.close_all()

    threads = [threading.Thread(target=confirm, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [200] + [400] * 9


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"X-Forwarded-Host": "evil.example"}, {"Forwarded": "host=evil.example"}]
)
def test_the_link_leads_to_us_whatever_the_host_header_says(product, customer: Person, headers: dict[str, str]) -> None:
    answered = product.post("/api/auth/password/forgot", {"email": customer.user.email}, headers=headers)

    if answered.status_code == 202:
        handle_reset_request(ResetRequest.objects.get().pk)
        assert "http://localhost:8000/reset?token=" in str(deliver_queued_mails("password_reset")[0].body)
    else:
        assert (answered.status_code, ResetRequest.objects.count()) == (400, 0)


@pytest.mark.parametrize(
    "address",
    [
        "\u212aim@example.net",
        "k\u0131m@example.net",
        ["kim@example.net"],
        "kim@example.net,eve@example.net",
        "kim@example.net\r\nBcc: eve@example.net",
    ],
)
def test_a_look_alike_or_list_of_addresses_gets_no_mail(product, address: Any) -> None:
    user_factories.create_customer(email="kim@example.net")

    assert forgot(product, address).status_code == 422
    assert not Mail.objects.filter(template="password_reset").exists()


def test_the_mail_goes_to_the_stored_spelling(product) -> None:
    user_factories.create_customer(email="Kim@Example.net")

    forgot(product, "KIM@EXAMPLE.NET")

    assert [mail.to for mail in deliver_queued_mails("password_reset")] == [["Kim@Example.net"]]


@override_settings(RATE_LIMIT_SCALE=1)
def test_the_sixth_request_of_an_hour_is_refused_in_whatever_spelling(product, customer: Person) -> None:
    spellings = [customer.user.email, customer.user.email.upper(), customer.user.email.title()]
    statuses = [forgot(product, spellings[number % 3]).status_code for number in range(6)]

    assert statuses == [202] * 5 + [429]


def test_no_more_than_five_mails_an_hour_whatever_the_limits_say(product, customer: Person) -> None:
    for _ in range(7):
        forgot(product, customer.user.email)

    assert Mail.objects.filter(template="password_reset").count() == 5
    with later(hours=1, seconds=1):
        forgot(product, customer.user.email)
    assert Mail.objects.filter(template="password_reset").count() == 6


# ── Registering a taken address ──────────────────────────────────────────────────────────────────────────────────────


def test_an_owner_is_mailed_once_a_day_about_registration_attempts(product, customer: Person) -> None:
    answers = [
        product.post("/api/auth/register", {"email": spelling, "password": NEW})
        for spelling in (customer.user.email, customer.user.email.upper())
    ]

    assert {(a.status_code, a.json()["code"]) for a in answers} == {(409, "email_taken")}
    assert len(deliver_queued_mails("register_attempt")) == 1
    with later(days=1):
        product.post("/api/auth/register", {"email": customer.user.email, "password": NEW})
    assert Mail.objects.filter(template="register_attempt").count() == 2
    assert User.objects.get().check_password(PASSWORD)
    assert check_password(PASSWORD, User.objects.get().password)


def test_registering_the_address_of_a_banned_person_tells_nobody(
    product, customer: Person, staff_member: Person
) -> None:
    staff_administration.ban_user(customer.user, by=staff_member.user, reason="spam")

    answered = product.post("/api/auth/register", {"email": customer.user.email, "password": NEW})

    assert (answered.status_code, answered.json()["code"]) == (409, "email_taken")
    assert not deliver_queued_mails("register_attempt")


@override_settings(RATE_LIMIT_SCALE=1)
def test_one_address_registers_three_times_an_hour(product, customer: Person) -> None:
    statuses = [
        product.post("/api/auth/register", {"email": customer.user.email, "password": NEW}).status_code
        for _ in range(4)
    ]

    assert statuses == [409, 409, 409, 429]


@pytest.mark.parametrize("path", ["/api/auth/register", "/register"])
def test_a_password_that_is_refused_is_no_registration(product, db, path: str) -> None:
    def register(password: str) -> int:
        fields = {"email": "nell@example.net", "password": password, "full_name": "Nell"}
        return int((product.submit_form if path == "/register" else product.post)(path, fields).status_code)

    product.get("/login")

    assert [register("short") for _ in range(3)] == [422] * 3
    assert register(NEW) in {201, 302}
