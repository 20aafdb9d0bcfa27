"""Turning over the keys of access tokens: published before they sign, verifying while a token of theirs is alive (T07)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command

from saas.accounts.models import Audience
from saas.accounts.sessions import key_files, signing_keys
from saas.audit.models import AuditEvent
from saas.testing.clients import ServiceClient
from saas.testing.factories import user_factories
from saas.testing.factories.user_factories import PASSWORD, Person

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def folder(settings, tmp_path: Path) -> Path:
    settings.JWT_KEY_DIR = tmp_path / "jwt"
    return settings.JWT_KEY_DIR


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def customer(clock, db) -> Person:
    """Logged in at noon."""
    return user_factories.create_customer()


def rotate(*arguments: str) -> str:
    told = StringIO()
    call_command("rotate_jwt_key", *arguments, stdout=told)
    return told.getvalue()


def published(product: ServiceClient) -> list[str]:
    return [key["kid"] for key in product.get("/.well-known/jwks.json").json()["keys"]]


def log_in(product: ServiceClient, person: Person) -> str:
    body = {"email": person.user.email, "password": PASSWORD}
    return str(product.post("/api/auth/login", body).json()["access_token"])


def kid(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def test_the_next_key_is_published_ten_minutes_before_it_signs(product, customer: Person, clock) -> None:
    (old,) = published(product)

    told = rotate()

    assert told == (
        "The new key of customers signs from 2030-01-01 12:10:00 UTC.\n"
        "The one before verifies until 2030-01-01 12:41:00 UTC.\n"
    )
    _, new = published(product)
    assert kid(log_in(product, customer)) == old
    clock.shift(timedelta(minutes=10))
    assert kid(log_in(product, customer)) == new


def test_a_token_of_the_old_key_is_good_to_its_last_second(product, parity, customer: Person, clock) -> None:
    rotate()
    clock.shift(timedelta(minutes=9, seconds=59))
    last = log_in(product, customer)
    clock.shift(timedelta(minutes=14, seconds=59))

    assert product.get("/api/auth/me", token=last).status_code == 200
    assert parity.get("/auth/me", token=last).status_code == 200


def test_an_old_key_is_forgotten_when_no_token_of_it_can_be_alive(
    product, customer: Person, clock, folder: Path
) -> None:
    (old,) = published(product)
    rotate()
    clock.shift(timedelta(minutes=40, seconds=59))
    assert old in published(product)
    clock.shift(timedelta(seconds=1))
    assert old not in published(product)
    assert old not in signing_keys.verification_keys(Audience.CUSTOMER)

    rotate()

    assert len(list(folder.glob("saas.*.pem"))) == 2  # the current and the next: the old file is gone


def test_of_two_rotations_at_once_the_second_is_refused(product, customer: Person) -> None:
    rotate()

    with pytest.raises(CommandError, match="published already"):
        rotate()
    assert len(published(product)) == 2


def test_each_audience_has_keys_of_its_own(product, customer: Person, clock) -> None:
    before = signing_keys.signing_key(Audience.STAFF).kid
    rotate("--audience", "staff")
    clock.shift(timedelta(minutes=11))

    assert signing_keys.signing_key(Audience.STAFF).kid != before
    assert len(published(product)) == 1  # the customers'
    assert set(published(product)).isdisjoint(signing_keys.verification_keys(Audience.STAFF))


def test_a_key_that_leaked_is_replaced_at_once_and_clients_refresh(product, customer: Person) -> None:
    told = rotate("--compromised")

    assert told == "The new key of customers signs from 2030-01-01 12:00:00 UTC.\n"
    assert product.get("/api/auth/me", token=customer.token).status_code == 401
    fresh = product.post("/api/auth/refresh", {"refresh_token": customer.refresh_token}).json()["access_token"]
    assert product.get("/api/auth/me", token=fresh).status_code == 200
    assert published(product) == [kid(fresh)]
    product.cookies["saas_session"] = customer.cookie_key
    assert product.get("/api/auth/me").status_code == 200


def test_a_rotation_is_in_the_audit_trail_and_holds_no_key(product, customer: Person, folder: Path) -> None:
    rotate()

    event = AuditEvent.objects.get(action="jwt_key.added")
    assert event.target == published(product)[1]
    assert "PRIVATE" not in str(event.data)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_a_key_that_is_set_by_its_value_is_not_turned_over(settings, db) -> None:
    settings.JWT_KEYS = {**settings.JWT_KEYS, "saas": signing_keys.generate_pem()}

    with pytest.raises(CommandError, match="JWT_KEY_DIR"):
        rotate()


def test_a_key_by_setting_is_rotated_by_publishing_the_next_one_first(
    product, customer: Person, settings, tmp_path
) -> None:
    now, following = signing_keys.generate_pem(), signing_keys.generate_pem()
    (tmp_path / "next.pem").write_text(following)
    settings.JWT_KEYS = {**settings.JWT_KEYS, "saas": now}
    settings.JWT_VERIFY_KEYS = {"saas": [str(tmp_path / "next.pem")]}

    token = log_in(product, customer)

    assert len(published(product)) == 2
    settings.JWT_KEYS = {**settings.JWT_KEYS, "saas": following}
    (tmp_path / "before.pem").write_text(now)
    settings.JWT_VERIFY_KEYS = {"saas": [str(tmp_path / "before.pem")]}
    assert product.get("/api/auth/me", token=token).status_code == 200


def test_a_key_of_another_curve_is_refused(settings) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    settings.JWT_KEYS = {**settings.JWT_KEYS, "saas": pem.decode()}

    with pytest.raises(ImproperlyConfigured, match="P-256"):
        signing_keys.signing_key(Audience.CUSTOMER)


def test_in_production_no_key_is_made_unasked(settings) -> None:
    settings.DEVELOPMENT_SECRETS = None

    with pytest.raises(ImproperlyConfigured, match="JWT_KEY_DIR"):
        signing_keys.signing_key(Audience.CUSTOMER)


def test_no_token_outlives_the_time_that_a_key_verifies(settings, db) -> None:
    settings.ACCESS_TOKEN_MINUTES = 30  # the most that can be set

    claims = jwt.decode(user_factories.create_customer().token, options={"verify_signature": False})

    assert timedelta(seconds=claims["exp"] - claims["iat"]) < key_files.LONGEST_TOKEN_LIFETIME


def test_the_first_rotation_in_production_makes_a_key_that_signs_at_once(settings, db, clock) -> None:
    settings.DEVELOPMENT_SECRETS = None

    assert rotate() == "The new key of customers signs from 2030-01-01 12:00:00 UTC.\n"
    assert signing_keys.signing_key(Audience.CUSTOMER).private is not None
