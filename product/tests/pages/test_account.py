"""The account's pages: each does what the API does, with its sentences."""

import json
import re
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
import time_machine
from django.utils import timezone

from saas.accounts.models import (
    Deletion,
    LoginSession,
    OAuthIdentity,
    OAuthState,
    Profile,
    RecoveryCode,
    Totp,
    User,
)
from saas.accounts.sessions import logins
from saas.mail.models import Mail
from saas.testing import local_provider
from saas.testing.clients import ServiceClient
from saas.testing.factories.team_factories import with_verified_email
from saas.testing.factories.user_factories import PASSWORD, Person, create_customer

NEW = "an entirely new phrase"
SECTIONS = [
    "/account",
    "/account/email",
    "/account/security",
    "/account/devices",
    "/account/support-visits",
    "/account/data",
]


def text_of(answer) -> str:
    return answer.content.decode()


def form_key(answer) -> str:
    found = re.search(r'name="form_key" value="([^"]+)"', text_of(answer))
    assert found
    return found[1]


def test_a_profile_that_was_sent_in_part_keeps_the_rest(pages: ServiceClient, customer: Person) -> None:
    answer = pages.submit_form("/account", {"full_name": "Ada Countess"})

    customer.user.refresh_from_db()
    assert (answer.status_code, answer.headers["Location"]) == (302, "/account")
    assert (customer.user.full_name, customer.user.locale) == ("Ada Countess", "en")


def test_a_time_zone_that_is_no_place_stays_selected(pages: ServiceClient, customer: Person) -> None:
    Profile.objects.filter(user=customer.user).update(timezone="CET")

    page = text_of(pages.get("/account"))

    assert re.findall(r'<option value="([^"]+)" selected>', page) == ["en", "CET"]


@pytest.mark.parametrize("path", SECTIONS)
def test_every_section_is_a_page_that_marks_itself(pages: ServiceClient, path: str) -> None:
    answer = pages.get(path)

    assert answer.status_code == 200
    assert f'<a href="{path}" aria-current="page">' in text_of(answer)
    assert len(answer.content) < 60_000


def test_the_profile_is_saved_and_speaks_the_language_at_once(pages: ServiceClient, customer: Person) -> None:
    sent = {
        "full_name": "Kim New",
        "avatar_url": "https://example.com/kim.png",
        "locale": "de",
        "timezone": "Europe/Vienna",
    }

    answer = pages.submit_form("/account", sent)

    assert (answer.status_code, answer.headers["Location"]) == (302, "/account")
    user = User.objects.get(pk=customer.user.pk)
    assert (user.full_name, user.locale) == ("Kim New", "de")
    assert Profile.objects.get(user=user).timezone == "Europe/Vienna"
    page = pages.get("/account")
    assert page.headers["Content-Language"] == "de"
    assert 'src="https://example.com/kim.png"' in text_of(page)
    assert "img-src 'self' data: https:;" in page.headers["Content-Security-Policy"]
    Profile.objects.update(avatar_url="http://example.com/kim.png")  # the API takes it; the policy would block it
    assert 'src="http://example.com' not in text_of(pages.get("/account"))


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("avatar_url", "javascript:alert(1)", "Give an address that starts with https:// or http://."),
        ("timezone", "Mars/Base", "This is not a time zone of the IANA database."),
        ("locale", "tlh", "is not a valid choice."),
        ("full_name", "a\u202eb", "Leave out characters that cannot be seen or that turn the direction of the text."),
    ],
)
def test_what_the_api_refuses_the_page_refuses(
    pages: ServiceClient, customer: Person, field: str, value: str, sentence: str
) -> None:
    sent = {"full_name": "Other", "avatar_url": "", "locale": "en", "timezone": "UTC", field: value}

    answer = pages.submit_form("/account", sent)

    assert (answer.status_code, sentence in text_of(answer)) == (422, True)
    assert User.objects.get(pk=customer.user.pk).full_name == customer.user.full_name


def test_a_new_address_gets_a_link_and_the_old_one_stays(pages: ServiceClient, customer: Person) -> None:
    answer = pages.submit_form("/account/email", {"new_email": "new@example.net"})

    assert answer.status_code == 302
    assert "We sent a link to new@example.net." in text_of(pages.get("/account/email"))
    assert Mail.objects.filter(template="confirm_new_email", recipient="new@example.net").count() == 1
    assert User.objects.get(pk=customer.user.pk).email == customer.user.email


def test_an_old_login_is_asked_for_the_password_and_goes_on(pages: ServiceClient, customer: Person, later) -> None:
    later()
    typed = {"new_email": "new@example.net", "form_key": "k1"}

    asked = pages.submit_form("/account/email", typed)
    wrong = pages.submit_form("/account/email", {**typed, "current_password": "not the password"})
    right = pages.submit_form("/account/email", {**typed, "current_password": PASSWORD})

    assert (asked.status_code, "Confirm that it is you" in text_of(asked)) == (403, True)
    assert '<input type="hidden" name="new_email" value="new@example.net">' in text_of(asked)
    assert (wrong.status_code, "This is not your password." in text_of(wrong)) == (422, True)
    assert (right.status_code, right.headers["Location"]) == (302, "/account/email")
    assert Mail.objects.filter(template="confirm_new_email").count() == 1


@pytest.mark.usefixtures("github_sign_in")
@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/account/delete", {}),
        ("/account/password", {"new_password": NEW}),
        ("/account/second-factor", {"do": "on"}),
        ("/account/providers/github", {"do": "link"}),
        ("/account/providers/github", {"do": "unlink"}),
    ],
)
def test_an_old_login_does_nothing_delicate_without_the_password(
    pages: ServiceClient, customer: Person, later, path: str, sent: dict[str, str]
) -> None:
    with_verified_email(customer)
    OAuthIdentity.objects.create(provider="github", issuer="https://github.com", subject="7", user=customer.user)
    later()

    asked = pages.submit_form(path, sent)
    wrong = pages.submit_form(path, {**sent, "current_password": "not the password"})

    assert (asked.status_code, "Confirm that it is you" in text_of(asked)) == (403, True)
    assert (wrong.status_code, "not the password" in text_of(wrong)) == (422, False)
    assert [table for table in (Deletion, OAuthState, Totp) if table.objects.exists()] == []
    assert OAuthIdentity.objects.exists()
    assert User.objects.get(pk=customer.user.pk).check_password(PASSWORD)


def test_a_form_that_is_sent_twice_does_its_work_once(pages: ServiceClient) -> None:
    typed = {"new_email": "new@example.net", "form_key": form_key(pages.get("/account/email"))}

    answers = [pages.submit_form("/account/email", typed) for _ in range(2)]

    assert [(answer.status_code, answer.headers["Location"]) for answer in answers] == [(302, "/account/email")] * 2
    assert Mail.objects.filter(template="confirm_new_email").count() == 1


def test_a_link_is_mailed_again_by_the_banners_button(pages: ServiceClient, customer: Person) -> None:
    User.objects.filter(pk=customer.user.pk).update(email_verified_at=None)
    assert 'action="/account/email/resend"' in text_of(pages.get("/account"))

    pages.submit_form("/account/email/resend", {})

    assert Mail.objects.filter(template="verify_email").count() == 1


def test_a_banner_from_before_the_confirmation_promises_no_mail(pages: ServiceClient, customer: Person) -> None:
    with_verified_email(customer)

    pages.submit_form("/account/email/resend", {})

    page = text_of(pages.get("/account/email"))
    assert "Your address is confirmed already." in page
    assert "on its way" not in page
    assert not Mail.objects.filter(template="verify_email").exists()


def test_asking_for_the_password_uses_up_none_of_an_hours_mails(
    pages: ServiceClient, customer: Person, later, settings
) -> None:
    settings.RATE_LIMIT_SCALE = 1

    statuses = []
    for typed in ({"new_email": f"new{number}@example.net"} for number in range(3)):
        later()
        statuses += [pages.submit_form("/account/email", typed).status_code]
        statuses += [pages.submit_form("/account/email", {**typed, "current_password": PASSWORD}).status_code]

    assert statuses == [403, 302] * 3


def test_a_form_has_one_answer_also_while_the_signing_key_is_replaced(
    pages: ServiceClient, customer: Person, settings
) -> None:
    typed = {"new_email": "new@example.net", "form_key": form_key(pages.get("/account/email"))}
    first = pages.submit_form("/account/email", typed)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the next key of this system " * 2, [settings.SECRET_KEY]

    second = pages.submit_form("/account/email", typed)

    assert (first.status_code, second.status_code) == (302, 302)
    assert Mail.objects.filter(template="confirm_new_email").count() == 1


def test_a_new_password_logs_out_all_other_devices_and_not_this(pages: ServiceClient, customer: Person) -> None:
    short = pages.submit_form("/account/password", {"new_password": "short"})
    done = pages.submit_form("/account/password", {"new_password": NEW})

    assert (short.status_code, "Use at least 12 characters." in text_of(short)) == (422, True)
    assert (done.status_code, done.headers["Location"]) == (302, "/account/security")
    assert pages.get("/account").status_code == 200
    assert LoginSession.objects.live().filter(user=customer.user).count() == 1
    assert User.objects.get(pk=customer.user.pk).check_password(NEW)


def test_a_second_factor_is_set_up_by_its_qr_code_and_its_codes_are_shown_once(
    pages: ServiceClient, customer: Person
) -> None:
    begun = pages.submit_form("/account/second-factor", {"do": "on"})
    assert begun.headers["Location"] == "/account/second-factor/setup"
    page = text_of(pages.get("/account/second-factor/setup"))
    secret = re.search(r'id="secret">(\w+)<', page)
    assert secret
    assert "<svg" in page

    wrong = pages.submit_form("/account/second-factor/setup", {"code": "000000"})
    code = pyotp.TOTP(secret[1]).now()
    done = pages.submit_form("/account/second-factor/setup", {"code": f"{code[:3]} {code[3:]}"})

    assert (wrong.status_code, "This code is not right." in text_of(wrong), secret[1] in text_of(wrong)) == (
        422,
        True,
        True,
    )
    codes = re.findall(r"<li>(\w{4}-\w{4}-\w{4}-\w{4})</li>", text_of(done))
    assert len(codes) == 10
    assert 'download="recovery-codes.txt"' in text_of(done)
    assert Totp.objects.confirmed(customer.user.pk).exists()
    assert pages.get("/account").status_code == 200
    assert pages.get("/account/second-factor/setup").headers["Location"] == "/account/second-factor"
    assert secret[1] not in text_of(pages.get("/account/second-factor"))


def test_a_first_code_that_is_typed_too_late_leads_back_to_the_beginning(
    pages: ServiceClient, customer: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages.submit_form("/account/second-factor", {"do": "on"})
    monkeypatch.setattr("saas.accounts.second_factor.SETUP_LIFETIME_SECONDS", -1)

    late = pages.submit_form("/account/second-factor/setup", {"code": "000000"})

    assert (late.status_code, late.headers["Location"]) == (302, "/account/second-factor")
    assert "That took too long" in text_of(pages.get("/account/second-factor"))
    assert not Totp.objects.confirmed(customer.user.pk).exists()


def test_new_recovery_codes_come_once_for_a_double_click_and_it_can_be_turned_off(
    pages: ServiceClient, customer: Person
) -> None:
    pages.submit_form("/account/second-factor", {"do": "on"})
    secret = re.search(r'id="secret">(\w+)<', text_of(pages.get("/account/second-factor/setup")))
    assert secret
    pages.submit_form("/account/second-factor/setup", {"code": pyotp.TOTP(secret[1]).now()})

    key = form_key(pages.get("/account/second-factor"))
    first, second = (pages.submit_form("/account/second-factor", {"do": "codes", "form_key": key}) for _ in range(2))
    assert text_of(first) == text_of(second)
    assert RecoveryCode.objects.filter(user=customer.user, used_at=None).count() == 10

    off = pages.submit_form("/account/second-factor", {"do": "off"})
    assert off.headers["Location"] == "/account/security"
    assert not Totp.objects.filter(user=customer.user).exists()
    assert pages.get("/account").status_code == 200


def test_a_device_is_logged_out_alone_or_with_all_others(pages: ServiceClient, service, customer: Person) -> None:
    phone = service("product")
    phone.get("/login", headers={"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS) Version/17 Mobile Safari/604.1"})
    agent = {"HTTP_USER_AGENT": "Mozilla/5.0 (iPhone; CPU iPhone OS) Version/17 Mobile Safari/604.1"}
    phone.defaults.update(agent)
    phone.submit_form("/login", {"email": customer.user.email, "password": PASSWORD})
    assert "Safari on iPhone" in text_of(pages.get("/account/devices"))
    sid = LoginSession.objects.get(agent__contains="iPhone").sid

    pages.submit_form("/account/devices", {"session": sid})
    assert phone.get("/account").status_code == 302
    pages.submit_form("/account/devices", {})

    assert LoginSession.objects.live().filter(user=customer.user).count() == 1
    assert pages.get("/account").status_code == 200


def test_this_device_is_listed_first_then_those_seen_last(pages: ServiceClient, customer: Person) -> None:
    here = LoginSession.objects.filter(user=customer.user).latest("created_at")
    old, new, ended = (logins.open_session(customer.user, methods="pwd").session for _ in range(3))
    logins.log_out(ended)
    now = timezone.now()
    for sid, seconds in ((here.sid, 0), (new.sid, 5), (old.sid, -5), (customer.session_id, -9)):
        LoginSession.objects.filter(sid=sid).update(last_seen_at=now + timedelta(seconds=seconds))

    page = text_of(pages.get("/account/devices"))

    assert re.findall(r'name="session" value="(\w+)"', page) == [new.sid, old.sid, customer.session_id]
    assert page.index("this device") < page.index(new.sid)


def test_a_device_that_has_logged_out_itself_is_logged_out(pages: ServiceClient, service, customer: Person) -> None:
    service("product").post("/api/auth/logout", token=customer.token)

    answer = pages.submit_form("/account/devices", {"session": customer.session_id})

    assert (answer.status_code, answer.headers["Location"]) == (302, "/account/devices")
    assert "That device is logged out." in text_of(pages.get("/account/devices"))


def test_the_device_of_another_is_not_there(pages: ServiceClient) -> None:
    stranger = create_customer(full_name="Stranger")
    sid = LoginSession.objects.get(user=stranger.user).sid

    answer = pages.submit_form("/account/devices", {"session": sid})

    assert answer.status_code == 404
    assert LoginSession.objects.live().filter(sid=sid).exists()


def test_deleting_names_the_day_logs_out_and_can_be_undone_by_mail(pages: ServiceClient, customer: Person) -> None:
    asked = text_of(pages.get("/account/delete"))

    done = pages.submit_form("/account/delete", {})

    due = Deletion.objects.get(user=customer.user).due_at
    assert f"{due:%-d %B %Y}" in asked
    assert f"<strong>{due:%-d %B %Y}</strong>" in text_of(done)
    assert done.cookies["saas_session"].value == ""
    assert pages.get("/account").status_code == 302
    assert Mail.objects.filter(template="deletion_requested").count() == 1


def test_deleting_tells_what_stands_in_the_way(pages: ServiceClient, customer: Person) -> None:
    pages.post("/api/subscriptions/checkout", {"plan_id": "growth"}, token=customer.token)
    local_provider.deliver_events()

    answer = pages.submit_form("/account/delete", {})

    assert answer.status_code == 409
    assert 'role="alert"' in text_of(answer)
    assert User.objects.get(pk=customer.user.pk).status == "active"


def test_the_export_is_the_apis(pages: ServiceClient, customer: Person) -> None:
    assert 'href="/api/users/export"' in text_of(pages.get("/account/data"))
    assert json.loads(pages.get("/api/users/export").content)["user_id"] == customer.user.pk


@pytest.mark.usefixtures("github_sign_in")
def test_a_provider_is_linked_by_a_page_that_leads_there(pages: ServiceClient, customer: Person) -> None:
    assert "Link GitHub" in text_of(pages.get("/account/security"))

    unverified = pages.submit_form("/account/providers/github", {"do": "link"})
    User.objects.filter(pk=customer.user.pk).update(email_verified_at=customer.user.created_at)
    answer = pages.submit_form("/account/providers/github", {"do": "link"})

    assert (unverified.status_code, "Confirm your e-mail address first." in text_of(unverified)) == (403, True)
    assert 'http-equiv="refresh" content="0; url=https://github.com/login/oauth/authorize?' in text_of(answer)
    assert answer.cookies["oauth_browser"].value


def test_a_section_costs_few_queries(pages: ServiceClient, django_assert_max_num_queries) -> None:
    pages.get("/account")

    with django_assert_max_num_queries(3):
        pages.get("/account")


def test_days_are_those_of_the_profiles_time_zone_on_pages_and_in_mails(pages: ServiceClient, customer: Person) -> None:
    Profile.objects.update_or_create(user=customer.user, defaults={"timezone": "Pacific/Auckland"})
    with time_machine.travel(datetime(2030, 1, 1, 12, 30, tzinfo=UTC), tick=False):
        pages.get("/login")
        pages.submit_form("/login", {"email": customer.user.email, "password": PASSWORD})
        asked = pages.get("/account/delete").content.decode()
        closed = pages.submit_form("/account/delete", {}).content.decode()

    assert "<strong>16 January 2030</strong>" in asked  # half past one in the night of the 16th
    assert "<strong>16 January 2030</strong>" in closed
    assert Mail.objects.get(template="deletion_requested").context["due"] == "16 January 2030"


def test_an_account_is_kept_from_the_page_that_closed_it(pages: ServiceClient, customer: Person) -> None:
    closed = pages.submit_form("/account/delete", {}).content.decode()
    token = re.search(r'name="token" value="([^"]+)"', closed)
    assert token
    assert Deletion.objects.pending().exists()

    pages.submit_form("/keep", {"token": token[1]})

    assert not Deletion.objects.exists()
    customer.user.refresh_from_db()
    assert customer.user.is_active
