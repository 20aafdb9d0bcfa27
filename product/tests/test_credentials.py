"""Passwords: how they are stored, which are taken, and that a refused login tells nothing (T01, T04, T05, T37)."""

import gzip
import unicodedata
from typing import Any

import pytest

from saas import env
from saas.accounts.models import LoginSession, User
from saas.accounts.passwords.hashers import PepperedPBKDF2, pepper_id
from saas.accounts.staff import staff_administration
from saas.testing.clients import ServiceClient
from saas.testing.factories import user_factories
from saas.testing.factories.user_factories import PASSWORD, Person

EMAIL = "kim@example.org"


@pytest.fixture
def hashings(monkeypatch) -> list[str]:
    """A spy: what the hasher was given."""
    given: list[str] = []
    real = PepperedPBKDF2._encode

    def encode(self: PepperedPBKDF2, password: str, *args: Any) -> str:
        given.append(password)
        return real(self, password, *args)

    monkeypatch.setattr(PepperedPBKDF2, "_encode", encode)
    return given


def log_in(product: ServiceClient, password: str, email: str = EMAIL) -> Any:
    return product.post("/api/auth/login", {"email": email, "password": password})


def register(product: ServiceClient, password: str, email: str = EMAIL) -> Any:
    return product.post("/api/auth/register", {"email": email, "password": password})


def nobody(customer: Person) -> None:
    User.objects.filter(pk=customer.user.pk).update(email="x@example.org", email_canonical="x@example.org")


def without_password(customer: Person) -> None:
    User.objects.filter(pk=customer.user.pk).update(password="!")


def banned(customer: Person) -> None:
    staff_administration.ban_user(customer.user, by=user_factories.create_staff_member().user, reason="fraud")


def deleted(customer: Person) -> None:
    User.objects.filter(pk=customer.user.pk).update(status="deleted")


def made_staff(customer: Person) -> None:
    User.objects.filter(pk=customer.user.pk).update(is_staff=True)


REFUSED = {
    "unknown": nobody,
    "provider only": without_password,
    "banned": banned,
    "deleted": deleted,
    "staff": made_staff,
}


@pytest.mark.parametrize("kind", REFUSED)
def test_every_refused_login_is_the_same_answer_at_the_same_cost(product, hashings, kind: str) -> None:
    customer = user_factories.create_customer(EMAIL)
    REFUSED[kind](customer)
    user_factories.create_customer("ola@example.org")
    hashings.clear()

    refused = log_in(product, PASSWORD)
    cost = len(hashings)
    wrong = log_in(product, "not the password", "ola@example.org")

    assert (refused.status_code, refused.json()["code"]) == (401, "invalid_credentials")
    assert {**refused.json(), "request_id": ""} == {**wrong.json(), "request_id": ""}
    assert not refused.cookies
    assert cost == len(hashings) - cost == 1


@pytest.mark.parametrize("password", ["Wilhelmina Long", "wilhelmina.long"])
def test_a_password_that_is_the_name_or_the_mailbox_is_refused(product, db, password: str) -> None:
    body = {"email": "wilhelmina.long@example.org", "full_name": "Wilhelmina Long", "password": password}

    answer = product.post("/api/auth/register", body)

    assert answer.json()["errors"] == {"password": ["Use something that is not your name or address."]}


@pytest.mark.parametrize("kind", ["free", "taken"])
def test_registering_costs_one_hash_whether_the_address_is_taken_or_not(product, db, hashings, kind: str) -> None:
    if kind == "taken":
        user_factories.create_customer(EMAIL)
    hashings.clear()

    register(product, PASSWORD)

    assert len(hashings) == 1


@pytest.mark.parametrize("kind", ["as it is", *(kind for kind in REFUSED if kind != "unknown")])
def test_a_taken_address_is_told_alike_whatever_its_account(product, db, kind: str) -> None:
    customer = user_factories.create_customer(EMAIL)
    REFUSED.get(kind, lambda _: None)(customer)

    answer = register(product, PASSWORD, EMAIL.upper())

    assert (answer.status_code, answer.json()["code"]) == (409, "email_taken")
    assert answer.json()["detail"] == "There is an account with this e-mail address already."
    assert not answer.cookies


@pytest.mark.parametrize("password", ["password1234", EMAIL, EMAIL.upper(), "saas starter", "eleven char"])
def test_a_password_that_is_guessed_first_is_refused(product, db, password: str) -> None:
    answer = register(product, password)

    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["password"])
    assert not User.objects.exists()


@pytest.mark.parametrize(
    "password",
    ["princessprincess", "MonkeyMonkey", "x" * 13, "abc123" * 3],
)
def test_a_common_password_is_refused_when_it_is_repeated(product, db, password: str) -> None:
    answer = register(product, password)

    assert (answer.status_code, answer.json()["errors"]) == (422, {"password": ["This password is too common."]})
    assert not User.objects.exists()


@pytest.mark.parametrize(
    "password", ["SecurePass123!", "TestPass123!", "sunshine on a dragon", "4071 9936 5528", "dragonfly lantern"]
)
def test_a_password_that_merely_holds_a_common_one_is_taken(product, db, password: str) -> None:
    assert register(product, password).status_code == 201


@pytest.mark.parametrize("name", ["passwords.txt", "passwords.txt.gz"])
def test_a_password_of_the_file_of_breaches_is_refused(product, db, settings, tmp_path, name: str) -> None:
    lines = "Velvet Otter Parade\ntooshort\nunreadable \udcff line\n".encode(errors="surrogateescape")
    (tmp_path / name).write_bytes(gzip.compress(lines) if name.endswith(".gz") else lines)
    common = "saas.accounts.passwords.common_passwords.CommonPasswordValidator"
    settings.AUTH_PASSWORD_VALIDATORS = [{"NAME": common, "OPTIONS": {"breached_passwords_file": str(tmp_path / name)}}]

    refused, taken = register(product, "velvet otter parade"), register(product, "velvet otter charade")

    assert (refused.status_code, refused.json()["errors"]) == (422, {"password": ["This password is too common."]})
    assert taken.status_code == 201


@pytest.mark.parametrize(
    "password", ["Rocket Reports", "rocket reports ", "app.rockets.example", "ops.rockets.example"]
)
def test_a_password_that_is_the_brand_or_a_host_of_ours_is_refused(product, db, settings, password: str) -> None:
    settings.BRAND_NAME = "Rocket Reports"
    settings.FRONTEND_BASE_URL = "https://app.rockets.example"
    settings.SERVICE_BASE_URLS = {**settings.SERVICE_BASE_URLS, "admin_ops": "https://ops.rockets.example"}

    answer = register(product, password)

    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["password"])
    assert not User.objects.exists()


@pytest.mark.parametrize("password", ["correct horse battery staple", "🐎 " * 100])
def test_a_long_password_of_any_characters_is_taken(product, db, password: str) -> None:
    assert register(product, password).status_code == 201
    assert log_in(product, password).status_code == 200
    assert log_in(product, password[:-1] + "!").status_code == 401


def test_a_password_logs_in_however_the_keyboard_composes_it(product, db) -> None:
    register(product, unicodedata.normalize("NFC", "Zoë's café at nine"))

    assert log_in(product, unicodedata.normalize("NFD", "Zoë's café at nine")).status_code == 200


def test_a_password_that_is_too_long_is_not_even_hashed(product, hashings, db) -> None:
    assert register(product, "x" * 201).status_code == 422
    assert log_in(product, "x" * 201).status_code == 401

    assert hashings == []


def test_a_hash_is_peppered_and_says_how_it_was_made(customer: Person, settings) -> None:
    algorithm, iterations, pepper, _, digest = User.objects.get().password.split("$")

    assert (algorithm, iterations) == ("pbkdf2_sha256_pep", str(settings.PASSWORD_ITERATIONS))
    assert (pepper, len(digest)) == (pepper_id(settings.AUTH_PEPPER), 64)


def test_under_another_pepper_no_password_is_right(product, settings, db) -> None:
    user_factories.create_customer(EMAIL)
    settings.AUTH_PEPPER = "another pepper of thirty-two bytes and more"

    assert log_in(product, PASSWORD).status_code == 401


def test_a_hash_under_the_pepper_before_is_renewed_at_login(product, settings, db) -> None:
    user_factories.create_customer(EMAIL)
    settings.AUTH_PEPPER_FALLBACKS = [settings.AUTH_PEPPER]
    settings.AUTH_PEPPER = "another pepper of thirty-two bytes and more"

    assert log_in(product, PASSWORD).status_code == 200
    assert User.objects.get().password.split("$")[2] == pepper_id(settings.AUTH_PEPPER)
    settings.AUTH_PEPPER_FALLBACKS = []
    assert log_in(product, PASSWORD).status_code == 200


def test_the_least_hash_of_the_design_is_renewed_to_600000_iterations(product, settings, db) -> None:
    settings.PASSWORD_ITERATIONS = 100_000
    user_factories.create_customer(EMAIL)
    settings.PASSWORD_ITERATIONS = 600_000

    assert log_in(product, PASSWORD).status_code == 200

    assert User.objects.get().password.startswith("pbkdf2_sha256_pep$600000$")
    assert env_default("PASSWORD_ITERATIONS") == "600000"


def env_default(name: str) -> str:
    return next(setting.default for setting in env.declared_settings() if setting.name == name)


def test_a_hash_of_fewer_iterations_is_renewed_at_login(product, settings, db) -> None:
    user_factories.create_customer(EMAIL)
    settings.PASSWORD_ITERATIONS = 1200

    assert log_in(product, PASSWORD).status_code == 200

    assert User.objects.get().password.startswith("pbkdf2_sha256_pep$1200$")
    assert LoginSession.objects.count() == 2
