"""Verifying and changing an address (T40), sessions on other devices (T14, T16), and the pages behind mailed links."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from saas.accounts.email_verification import request_email_change, verify_email
from saas.accounts.models import LoginSession, OneTimeToken, User
from saas.accounts.one_time_tokens import consume_one_time_token, find_one_time_token
from saas.audit.models import AuditEvent
from saas.mail.models import Mail
from saas.testing.clients import ServiceClient
from saas.testing.concurrency import second_waits_for_first
from saas.testing.factories import user_factories
from saas.testing.factories.user_factories import PASSWORD, Person
from saas.testing.mails import MAIL_VALUES, deliver_queued_mails, link_token

NEW_ADDRESS = "Kim.New@example.org"


def verify(product: ServiceClient, token: str) -> Any:
    return product.post("/api/auth/email/verify", {"token": token})


def ask_to_change(product: ServiceClient, person: Person, email: Any = NEW_ADDRESS) -> Any:
    return product.post("/api/auth/email/change", {"new_email": email}, token=person.token)


def later(**by: int) -> Any:
    return time_machine.travel(datetime.now(UTC) + timedelta(**by))


def test_the_welcome_mails_link_verifies_the_address_once(product, customer: Person) -> None:
    token = link_token("welcome")

    first, second = verify(product, token), verify(product, token)

    assert (first.status_code, first.json()) == (200, {"status": "verified"})
    assert (second.status_code, second.json()["code"]) == (400, "link_invalid")
    assert product.get("/api/auth/me", token=customer.token).json()["user"]["is_verified"] is True
    assert AuditEvent.objects.get(action="email.verified").target == customer.user.id


def test_the_link_to_a_corrected_address_tells_nothing_of_the_account(product, customer: Person) -> None:
    mistyped = link_token("welcome")
    ask_to_change(product, customer)
    verify(product, link_token("confirm_new_email"))

    told = product.post("/api/auth/email/verify/preview", {"token": mistyped})

    assert (told.status_code, told.json()["code"]) == (400, "link_invalid")
    assert NEW_ADDRESS not in told.content.decode()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_confirming_and_changing_an_address_at_once_cause_no_deadlock() -> None:
    user = user_factories.create_customer().user
    request_email_change(user, new_email=NEW_ADDRESS)
    link = find_one_time_token(link_token("welcome"), OneTimeToken.Purpose.VERIFY)

    second_waits_for_first(
        lambda: consume_one_time_token(link),
        lambda: verify_email(link_token("confirm_new_email")),
        then=lambda: User.objects.filter(pk=user.pk).update(email_verified_at=timezone.now()),  # as the link does
    )

    assert User.objects.get().email == NEW_ADDRESS


def test_a_verification_link_dies_after_a_day(product, customer: Person) -> None:
    token = link_token("welcome")

    ask_to_change(product, customer)
    change = link_token("confirm_new_email")
    with time_machine.travel(OneTimeToken.objects.latest("expires_at").expires_at, tick=False):
        assert verify(product, change).status_code == 400
    with later(days=1, seconds=1):
        assert [verify(product, one).status_code for one in (token, change)] == [400, 400]
    assert (User.objects.get().is_verified, User.objects.get().email) == (False, customer.user.email)


def test_the_links_of_a_banned_account_verify_and_change_nothing(product, customer: Person) -> None:
    ask_to_change(product, customer)
    tokens = [link_token("welcome"), link_token("confirm_new_email")]
    User.objects.update(status=User.Status.DISABLED)

    assert [verify(product, token).status_code for token in tokens] == [400, 400]
    assert (User.objects.get().is_verified, User.objects.get().email) == (False, customer.user.email)


def test_the_link_is_sent_again_until_the_address_is_verified(product, customer: Person) -> None:
    assert product.post("/api/auth/email/resend", token=customer.token).status_code == 202
    verify(product, link_token("verify_email"))
    assert product.post("/api/auth/email/resend", token=customer.token).status_code == 202

    assert Mail.objects.filter(template="verify_email").count() == 1


def test_what_is_refused_uses_up_none_of_an_hours_five_mails(product, customer: Person, settings) -> None:
    settings.RATE_LIMIT_SCALE = 1
    LoginSession.objects.update(authenticated_at=datetime.now(UTC) - timedelta(minutes=6))

    refused = [ask_to_change(product, customer).status_code for _ in range(5)]
    changed = product.post(
        "/api/auth/email/change", {"new_email": NEW_ADDRESS, "current_password": PASSWORD}, token=customer.token
    )

    assert (refused, changed.status_code) == ([403] * 5, 202)
    assert Mail.objects.filter(template="confirm_new_email").count() == 1


def test_an_address_changes_when_the_new_mailbox_says_so(product, customer: Person) -> None:
    first = link_token("welcome")
    assert ask_to_change(product, customer).status_code == 202
    assert product.get("/api/auth/me", token=customer.token).json()["user"]["email"] == customer.user.email
    assert [mail.to for mail in deliver_queued_mails("email_change_requested")] == [[customer.user.email]]
    token = link_token("confirm_new_email")

    assert verify(product, token).status_code == 200

    user = User.objects.get()
    assert (user.email, user.email_canonical, user.is_verified) == (NEW_ADDRESS, NEW_ADDRESS.lower(), True)
    assert product.get("/api/auth/me", token=customer.token).status_code == 401
    assert {mail.to[0] for mail in deliver_queued_mails("email_changed")} == {customer.user.email, NEW_ADDRESS}
    assert [verify(product, link).status_code for link in (token, first)] == [400, 400]
    audited = AuditEvent.objects.filter(action__startswith="email.", target=user.id).order_by("pk")
    assert [event.action for event in audited] == ["email.change_requested", "email.changed"]


def test_a_taken_address_is_answered_like_a_free_one(product, customer: Person, other: Person) -> None:
    deliver_queued_mails()

    free = ask_to_change(product, customer)
    assert sorted(mail.to[0] for mail in deliver_queued_mails()) == sorted([NEW_ADDRESS, customer.user.email])
    taken = ask_to_change(product, customer, other.user.email.upper())

    assert (free.status_code, free.content) == (taken.status_code, taken.content) == (202, b'{"status":"accepted"}')
    assert [mail.to[0] for mail in deliver_queued_mails()] == [
        customer.user.email
    ]  # the same notice: her own mailbox tells nothing


def test_only_the_last_asked_for_address_can_be_confirmed(product, customer: Person) -> None:
    first = link_token("welcome")
    ask_to_change(product, user_factories.create_customer(), "others@example.org")
    others = link_token("confirm_new_email")
    ask_to_change(product, customer, "mistyped@example.org")
    mistyped = link_token("confirm_new_email")
    ask_to_change(product, customer)

    refused = verify(product, mistyped)

    assert (refused.status_code, refused.json()["code"]) == (400, "link_invalid")
    assert product.get("/api/auth/me", token=customer.token).json()["user"]["email"] == customer.user.email
    links = (first, others, link_token("confirm_new_email"))  # the registration's and another person's still work
    assert [verify(product, link).status_code for link in links] == [200, 200, 200]
    assert User.objects.get(pk=customer.user.pk).email == NEW_ADDRESS


def test_the_spelling_of_ones_own_address_can_be_changed(product, customer: Person) -> None:
    User.objects.update(email_verified_at=timezone.now())
    spelling = customer.user.email.replace("kim", "Kim")
    assert ask_to_change(product, customer, spelling).status_code == 202

    assert verify(product, link_token("confirm_new_email")).status_code == 200
    user = User.objects.get()
    assert (user.email, user.email_canonical) == (spelling, customer.user.email)


def test_an_unconfirmed_address_is_asked_by_its_first_link_alone(product, customer: Person) -> None:
    """A stranger may have registered with it: its owner finds "this was not me" there, and that removes the account."""
    User.objects.update(email_verified_at=None)

    assert ask_to_change(product, customer, customer.user.email.replace("kim", "Kim")).status_code == 202

    assert not Mail.objects.filter(template="confirm_new_email").exists()


def test_an_address_that_was_taken_meanwhile_is_refused(product, customer: Person) -> None:
    ask_to_change(product, customer)
    token = link_token("confirm_new_email")
    user_factories.create_customer(email=NEW_ADDRESS)

    refused = verify(product, token)

    assert (refused.status_code, refused.json()["code"]) == (400, "link_invalid")
    assert User.objects.get(pk=customer.user.pk).email == customer.user.email
    assert product.get("/api/auth/me", token=customer.token).status_code == 200


def test_changing_the_address_needs_a_fresh_login(product, customer: Person) -> None:
    with later(minutes=6):
        refused = ask_to_change(product, customer)
        accepted = product.post(
            "/api/auth/email/change", {"new_email": NEW_ADDRESS, "current_password": PASSWORD}, token=customer.token
        )

    assert (refused.status_code, refused.json()["code"]) == (403, "reauth_required")
    assert accepted.status_code == 202


@pytest.mark.parametrize("email", ["nonsense", "\u212aim@example.org", 5, None, ["a@example.org"]])
def test_an_address_that_is_none_is_refused(product, customer: Person, email: Any) -> None:
    assert ask_to_change(product, customer, email).status_code == 422


# ── Devices ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_other_device_can_be_logged_out_at_once(product, service, customer: Person, other: Person) -> None:
    second = service("product").post("/api/auth/login", {"email": customer.user.email, "password": PASSWORD}).json()

    assert product.delete("/api/auth/sessions", token=customer.token).status_code == 204

    assert product.get("/api/auth/me", token=second["access_token"]).status_code == 401
    assert product.get("/api/auth/me", token=customer.token).status_code == 200
    assert product.get("/api/auth/me", token=other.token).status_code == 200
    assert AuditEvent.objects.get(action="session.closed_others", target=customer.user.id).data == {"sessions": 1}


def test_a_session_deleted_from_the_table_is_dead_on_the_next_request(product, customer: Person) -> None:
    product.cookies["saas_session"] = customer.cookie_key
    assert product.get("/api/auth/me").status_code == 200

    LoginSession.objects.all().delete()

    assert product.get("/api/auth/me").status_code == 401


def test_a_login_from_an_unknown_device_is_told_once(product, customer: Person) -> None:
    for _ in range(2):
        product.post(
            "/api/auth/login",
            {"email": customer.user.email, "password": PASSWORD},
            headers={"User-Agent": "Strange Browser/1.0"},
        )

    (mail,) = deliver_queued_mails("new_device")
    assert "Strange, from 127.0.0.1" in str(mail.body)


def log_in_as(product: ServiceClient, person: Person, agent: str) -> None:
    product.cookies.clear()
    body = {"email": person.user.email, "password": PASSWORD}
    assert product.post("/api/auth/login", body, headers={"User-Agent": agent}).status_code == 200


def test_a_device_that_is_unknown_again_is_told_again(product, customer: Person) -> None:
    log_in_as(product, customer, "Strange/1.0")
    assert len(deliver_queued_mails("new_device")) == 1

    with later(days=40):
        LoginSession.objects.all().delete()  # no longer kept
        log_in_as(product, customer, "Strange/1.0")

        assert len(deliver_queued_mails("new_device")) == 1


@pytest.mark.parametrize(
    "agent",
    [
        "you have won: claim it at https://evil.example/claim",
        "evil.example",
        "www.evil.example/claim",
        "https://evil.example/claim",
        "Firefox/1.0 https://evil.example/claim on Windows",
        "\u202eevil",
    ],
)
def test_a_device_writes_nothing_of_its_own_into_a_mail(product, db, agent: str) -> None:
    user = user_factories.create_customer("stranger@example.net").user
    body = {"email": user.email, "password": PASSWORD}

    product.post("/api/auth/login", body, headers={"User-Agent": agent.encode().decode("latin-1")})

    (mail,) = deliver_queued_mails("new_device")
    assert not [word for word in ("evil", "claim", "won") if word in mail.body + str(mail.alternatives)]


def test_a_mailbox_is_not_filled_by_logins_as_ever_new_devices(product, customer: Person) -> None:
    for number in range(7):
        log_in_as(product, customer, f"Browser/{number}")

    assert len(deliver_queued_mails("new_device")) == 5
    with later(days=1, seconds=1):
        log_in_as(product, customer, "Browser/7")
    assert Mail.objects.filter(template="new_device").count() == 6


@pytest.mark.parametrize(
    ("agent", "address", "is_told"),
    [
        ("Browser/1.0", "198.51.100.1", False),
        ("Browser/1.0", "198.51.100.200", False),  # the same part of the net
        ("Browser/1.0", "203.0.113.1", True),  # the same browser somewhere else may be somebody else's
        ("Browser/2.0", "198.51.100.1", True),
    ],
)
def test_without_a_cookie_a_device_is_known_by_its_name_and_where_it_is(
    product, customer: Person, agent: str, address: str, is_told
) -> None:
    def log_in(agent: str, address: str) -> None:
        product.defaults["REMOTE_ADDR"] = address
        log_in_as(product, customer, agent)

    log_in("Browser/1.0", "198.51.100.1")
    deliver_queued_mails()

    log_in(agent, address)

    assert bool(deliver_queued_mails("new_device")) is is_told


# ── Pages ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def fill_in(product: ServiceClient, path: str, **fields: str) -> Any:
    page = product.get(path)
    assert page.status_code == 200
    csrf = page.content.decode().split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    body = "&".join(f"{name}={value}" for name, value in {**fields, "csrfmiddlewaretoken": csrf}.items())
    return product.post(path, raw=body.encode(), content_type="application/x-www-form-urlencoded")


def test_looking_at_the_page_verifies_nothing_and_its_button_does(product, customer: Person) -> None:
    token = link_token("welcome")
    page = product.get(f"/verify?token={token}")
    assert not User.objects.get().is_verified
    assert f'value="{token}"' in page.content.decode()

    done = fill_in(product, f"/verify?token={token}", token=token)

    assert (done.status_code, "Your address is confirmed" in done.content.decode()) == (200, True)
    assert User.objects.get().is_verified


def test_who_changed_the_address_reads_that_they_log_in_again(product, customer: Person) -> None:
    ask_to_change(product, customer)
    token = link_token("confirm_new_email")

    done = fill_in(product, f"/verify?token={token}", token=token).content.decode()

    assert "Your address is confirmed" in done
    assert "Every device was logged out. Log in with this address from now on." in done
    assert 'class="button" href="/login"' in done


def test_a_password_is_set_on_the_page_and_refusals_are_told_there(product, customer: Person) -> None:
    fill_in(product, "/forgot", email=customer.user.email)
    from saas.accounts import tasks
    from saas.accounts.models import ResetRequest

    tasks.answer_reset_request(ResetRequest.objects.get().pk)
    token = link_token("password_reset")

    short = fill_in(product, f"/reset?token={token}", token=token, new_password="short")
    done = fill_in(product, f"/reset?token={token}", token=token, new_password="an+entirely+new+phrase")
    again = product.submit_form("/reset", {"token": token, "new_password": "an entirely new phrase"})

    assert (short.status_code, "Use at least 12 characters." in short.content.decode()) == (422, True)
    assert (done.status_code, "Your new password is set" in done.content.decode()) == (200, True)
    assert (again.status_code, "not valid" in again.content.decode()) == (400, True)
    assert User.objects.get().check_password("an entirely new phrase")


@pytest.mark.parametrize("path", ["/verify", "/reset", "/forgot"])
def test_a_page_takes_no_form_without_its_csrf_token(product, customer: Person, path: str) -> None:
    answer = product.post(path, raw=b"token=x&email=a@example.org", content_type="application/x-www-form-urlencoded")

    assert (answer.status_code, answer.json()["code"]) == (403, "csrf_failed")


@pytest.mark.parametrize("path", ["/verify?token=%3Cscript%3Ealert(1)%3C/script%3E", "/reset?token=x", "/forgot"])
def test_a_page_loads_only_from_here_keeps_nothing_and_escapes_what_it_shows(product, path: str) -> None:
    page = product.get(path)
    html = page.content.decode()

    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert "form-action 'self'" in page.headers["Content-Security-Policy"]
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert "no-store" in page.headers["Cache-Control"]
    assert "<script>" not in html
    assert [url for url in re.findall(r'(?:src|href)="([^"]*)"', html) if not re.match(r"/\w|#|/$", url)] == []
    assert "http" not in html


@pytest.mark.parametrize(
    "template",
    [
        "welcome",
        "verify_email",
        "confirm_new_email",
        "email_change_requested",
        "email_changed",
        "password_reset",
        "password_changed",
        "register_attempt",
        "new_device",
        "identity_linked",
        "identity_unlinked",
        "session_ended_reuse",
    ],
)
def test_every_mail_has_a_subject_a_text_and_a_page(db, template: str) -> None:
    from saas.mail.actions import queue_mail

    values = {**MAIL_VALUES[template], "name": "Kim <b>"}
    queue_mail(template, to="kim@example.org", context=values, secrets={"token": "t0ken"}, dedupe_key=template)

    (mail,) = deliver_queued_mails(template)

    assert 5 < len(mail.subject) < 60
    assert "Kim <b>" in str(mail.body)
    assert "{" not in str(mail.body)
    assert "Kim &lt;b&gt;" in str(mail.alternatives[0].content)
