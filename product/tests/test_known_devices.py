"""Nobody is kept out of her own account by a stranger's guesses (T85)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import pytest
import time_machine
from django.core import signing

from saas import request_context
from saas.accounts.models import FailedAttempts, LoginSession, ResetRequest, User
from saas.accounts.passwords.password_reset_mails import handle_reset_request
from saas.accounts.privacy import account_deletion
from saas.accounts.sessions import known_devices
from saas.accounts.staff import staff_administration
from saas.testing.clients import ServiceClient
from saas.testing.factories.user_factories import PASSWORD, Person
from saas.testing.mails import deliver_queued_mails, link_token

START = datetime(2030, 1, 1, tzinfo=UTC)
WRONG = "a wrong password"
NEW = "an entirely new phrase"


def log_in(client: ServiceClient, person: Person, password: str = PASSWORD) -> Any:
    return client.post("/api/auth/login", {"email": person.user.email, "password": password})


def guess(client: ServiceClient, person: Person, times: int = 5) -> list[int]:
    return [log_in(client, person, WRONG).status_code for _ in range(times)]


@pytest.fixture
def stranger(service) -> ServiceClient:
    """A device that was never in anybody's account."""
    return service("product")


@pytest.fixture
def known(product: ServiceClient, customer: Person) -> ServiceClient:
    """The device on which she logged in before, and logged out again."""
    assert log_in(product, customer).status_code == 200
    product.cookies.pop("saas_session")
    return product


def test_a_strangers_guesses_keep_nobody_out_on_a_known_device(known, stranger, customer: Person) -> None:
    with time_machine.travel(START, tick=False) as clock:
        log_in(known, customer)
        guess(stranger, customer)
        for minutes in (1, 2, 4, 8, 15):
            assert log_in(stranger, customer).status_code == 429
            assert log_in(known, customer).status_code == 200
            clock.shift(timedelta(minutes=minutes))
            assert guess(stranger, customer, 1) == [401]


def test_what_a_known_device_guesses_is_counted_for_it_alone(known, stranger, customer: Person) -> None:
    assert guess(known, customer) == [401] * 5

    refused = log_in(known, customer)

    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_attempts")
    assert log_in(stranger, customer).status_code == 200


def test_a_login_on_a_known_device_gives_strangers_no_more_guesses(known, stranger, customer: Person) -> None:
    guess(stranger, customer)

    assert log_in(known, customer).status_code == 200

    assert log_in(stranger, customer).status_code == 429


def test_a_device_is_known_for_the_accounts_that_were_entered_on_it_only(
    known, stranger, customer, other: Person
) -> None:
    guess(stranger, other)

    assert log_in(known, other).status_code == 429


def test_two_people_may_share_a_device(known, stranger, customer: Person, other: Person) -> None:
    assert log_in(known, other).status_code == 200
    guess(stranger, customer)
    guess(stranger, other)

    assert (log_in(known, customer).status_code, log_in(known, other).status_code) == (200, 200)


@pytest.mark.parametrize("cookie", ["", "nonsense", "\u00e9\u00e9", "a" * 5000, "WyJhIl0:1:b"])
def test_a_cookie_that_is_not_ours_makes_no_device_known(stranger, known, customer: Person, cookie: str) -> None:
    guess(stranger, customer)
    known.cookies["saas_device"] = cookie

    assert log_in(known, customer).status_code == 429


def test_another_devices_cookie_cannot_be_made_out_of_ones_own(
    stranger, known, customer: Person, other: Person
) -> None:
    log_in(stranger, other)
    body, rest = stranger.cookies["saas_device"].value.split(":", 1)
    theirs = known.cookies["saas_device"].value.split(":", 1)[0]
    stranger.cookies["saas_device"] = f"{theirs}:{rest}"

    guess(stranger, customer)

    assert body != theirs
    assert log_in(stranger, customer).status_code == 429
    assert log_in(known, customer).status_code == 200


def test_a_device_is_forgotten_after_half_a_year_without_a_login(known, stranger, customer: Person) -> None:
    with time_machine.travel(datetime.now(UTC) + known_devices.COOKIE_LIFETIME + timedelta(minutes=1)):
        guess(stranger, customer)

        assert log_in(known, customer).status_code == 429


def test_the_cookie_says_nothing_about_who_was_here(known, customer: Person) -> None:
    told = signing.loads(known.cookies["saas_device"].value, salt="saas.accounts.devices")

    assert all(fact not in str(told) for fact in (customer.user.id, customer.user.email, customer.user.full_name))


def test_a_device_remembers_the_last_five_accounts() -> None:
    cookie = ""
    for name in "abcdeef":  # "e" twice counts once
        with request_context.use_context(request_context.Context(device=cookie)):
            cookie = known_devices.device_cookie_value(User(pk=f"usr_{name}"))

    with request_context.use_context(request_context.Context(device=cookie)):
        known = [name for name in "abcdef" if known_devices.known_device_mark(User(pk=f"usr_{name}"))]
    assert known == ["b", "c", "d", "e", "f"]
    assert len(signing.loads(cookie, salt="saas.accounts.devices")) == 6  # the device itself, too


def test_the_cookie_is_no_scripts_and_lives_half_a_year(product, customer: Person) -> None:
    cookie = log_in(product, customer).cookies["saas_device"]

    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["domain"]) == (True, "Lax", "/", "")
    assert cookie["max-age"] == 180 * 24 * 3600


@pytest.mark.parametrize(
    ("domain", "name"), [(None, "__Host-saas_device"), (".example.com", "saas_device")], ids=["bound", "shared"]
)
def test_in_production_the_devices_cookie_is_secure(product, customer: Person, settings, domain, name: str) -> None:
    settings.SESSION_COOKIE_SECURE, settings.SESSION_COOKIE_DOMAIN = True, domain

    cookie = log_in(product, customer).cookies[name]

    assert (cookie["secure"], cookie["httponly"], cookie["domain"]) == (True, True, domain or "")


def test_a_refused_login_makes_no_device_known(product, customer: Person) -> None:
    assert "saas_device" not in log_in(product, customer, WRONG).cookies


def test_half_a_login_makes_no_device_known(product, customer: Person) -> None:
    setup = product.post("/api/auth/mfa/totp", token=customer.token).json()
    code = pyotp.TOTP(setup["secret"]).now()
    product.post("/api/auth/mfa/totp/confirm", {"code": code}, token=customer.token)
    product.cookies.clear()

    half = log_in(product, customer)

    assert (half.json()["mfa_required"], dict(half.cookies)) == (True, {})


# ── Everywhere that a password or code is asked for ──────────────────────────────────────────────────────────────────


def test_a_strangers_guesses_do_not_reach_into_a_live_session(product, stranger, customer: Person) -> None:
    guess(stranger, customer)

    again = product.post("/api/auth/reauthenticate", {"current_password": PASSWORD}, token=customer.token)
    body = {"current_password": PASSWORD, "new_password": NEW}
    changed = product.post("/api/auth/password/change", body, token=customer.token)

    assert (again.status_code, changed.status_code) == (204, 200)


def test_guesses_in_one_session_do_not_stop_another(product, service, customer: Person) -> None:
    hers = log_in(service("product"), customer).json()["access_token"]
    for _ in range(5):
        product.post("/api/auth/reauthenticate", {"current_password": WRONG}, token=customer.token)

    stolen = product.post("/api/auth/reauthenticate", {"current_password": PASSWORD}, token=customer.token)
    own = product.post("/api/auth/reauthenticate", {"current_password": PASSWORD}, token=hers)

    assert (stolen.status_code, own.status_code) == (429, 204)


def test_who_has_the_password_and_not_the_code_keeps_nobody_out(product, stranger, customer: Person) -> None:
    with time_machine.travel(START, tick=False) as clock:
        fresh = log_in(product, customer).json()["access_token"]
        secret = product.post("/api/auth/mfa/totp", token=fresh).json()["secret"]
        product.post("/api/auth/mfa/totp/confirm", {"code": pyotp.TOTP(secret).now()}, token=fresh)
        clock.shift(timedelta(minutes=1))
        half = log_in(stranger, customer).json()["mfa_token"]
        for _ in range(5):
            stranger.post("/api/auth/mfa/verify", {"mfa_token": half, "code": "000000"})

        code = pyotp.TOTP(secret).now()
        waits = stranger.post(
            "/api/auth/mfa/verify", {"mfa_token": log_in(stranger, customer).json()["mfa_token"], "code": code}
        )
        enters = product.post(
            "/api/auth/mfa/verify", {"mfa_token": log_in(product, customer).json()["mfa_token"], "code": code}
        )

    assert (waits.status_code, enters.status_code) == (429, 200)


@pytest.mark.parametrize(("method", "path"), [("post", "/api/auth/password/reset"), ("submit_form", "/reset")])
def test_the_device_on_which_she_reset_her_password_is_known(
    stranger, product, customer: Person, method: str, path: str
) -> None:
    product.post("/api/auth/password/forgot", {"email": customer.user.email})
    handle_reset_request(ResetRequest.objects.get().pk)
    product.get("/login")
    sent = {"token": link_token("password_reset"), "new_password": NEW}
    getattr(product, method)(path, sent)

    guess(stranger, customer)

    assert (log_in(stranger, customer, NEW).status_code, log_in(product, customer, NEW).status_code) == (429, 200)


def test_staff_are_not_kept_out_either(admin_ops, service, staff_member: Person) -> None:
    def enter(client: ServiceClient, password: str) -> Any:
        return client.post("/api/admin/auth/login", {"email": staff_member.user.email, "password": password})

    cookie = enter(admin_ops, PASSWORD).cookies["saas_admin_device"]
    for _ in range(5):
        enter(service("admin_ops"), WRONG)

    assert (cookie["httponly"], cookie["domain"]) == (True, "")
    assert (enter(service("admin_ops"), PASSWORD).status_code, enter(admin_ops, PASSWORD).status_code) == (429, 200)


# ── Trusted no more ──────────────────────────────────────────────────────────────────────────────────────────────────


def by_reset(person: Person, staff_member: Person) -> None:
    User.objects.filter(pk=person.user.pk).update(token_epoch=person.user.token_epoch + 1)


def by_ban(person: Person, staff_member: Person) -> None:
    staff_administration.ban_user(person.user, by=staff_member.user, reason="x")
    staff_administration.unban_user(person.user, by=staff_member.user)


def by_deletion(person: Person, staff_member: Person) -> None:
    account_deletion.delete_account(User.objects.get(pk=person.user.pk))
    account_deletion.cancel_deletion(link_token("deletion_requested"))


@pytest.mark.parametrize("end", [by_reset, by_ban, by_deletion])
def test_what_ends_every_session_makes_every_device_a_strangers(
    known, stranger, customer, staff_member: Person, end
) -> None:
    end(customer, staff_member)

    guess(stranger, customer)

    assert log_in(known, customer).status_code == 429


def test_logging_out_everywhere_forgets_all_devices_but_this_one(known, stranger, service, customer) -> None:
    lost = service("product")
    log_in(lost, customer)
    token = log_in(known, customer).json()["access_token"]
    known.post("/api/auth/logout-all", token=token)

    guess(stranger, customer)

    assert (log_in(lost, customer).status_code, log_in(known, customer).status_code) == (429, 200)


# ── New devices ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_device_that_travels_is_known_by_its_cookie(product, customer: Person) -> None:
    log_in(product, customer)
    deliver_queued_mails()
    product.defaults["REMOTE_ADDR"] = "198.51.100.7"

    assert (
        product.post(
            "/api/auth/login",
            {"email": customer.user.email, "password": PASSWORD},
            headers={"User-Agent": "Browser/2.0"},
        ).status_code
        == 200
    )

    assert not deliver_queued_mails("new_device")
    assert LoginSession.objects.latest("created_at").address == "198.51.100.7"


def test_no_counter_names_a_device_or_person(known, stranger, customer: Person) -> None:
    guess(known, customer, 1)
    guess(stranger, customer, 1)

    keys = list(FailedAttempts.objects.values_list("key", flat=True))

    assert keys
    assert [key for key in keys if len(key) != 64 or customer.user.id in key] == []
