"""Two halves of a deploy: one signs with the earlier value of a secret, the other with the next; each accepts both."""

from dataclasses import dataclass
from typing import Any

import pyotp
import pytest
from django.core import signing

from saas.accounts import rotating_secrets
from saas.accounts.models import Totp, User
from saas.accounts.passwords.hashers import pepper_id
from saas.accounts.passwords.password_reset_mails import mail_reset_link
from saas.accounts.sessions import signing_keys
from saas.testing.clients import ServiceClient
from saas.testing.factories import user_factories
from saas.testing.factories.user_factories import PASSWORD, Person
from saas.testing.mails import link_token

pytestmark = pytest.mark.django_db
VALUES = ("the value before, of thirty-two bytes", "the next value, of thirty-two bytes")
SECRETS = ("SECRET_KEY", "AUTH_PEPPER", "SESSION_SECRET", "MFA_KEY")


@dataclass
class Halves:
    """``settings`` as the processes of one half have them."""

    settings: Any
    pems: tuple[str, str]
    files: tuple[str, str]

    def enter(self, half: int) -> None:
        for secret in SECRETS:
            setattr(self.settings, secret, VALUES[half])
            setattr(self.settings, f"{secret}_FALLBACKS", [VALUES[1 - half]])
        self.settings.INTERNALS_TOKEN, self.settings.INTERNALS_TOKEN_FALLBACKS = VALUES[half], [VALUES[1 - half]]
        self.settings.JWT_KEYS = {"saas": self.pems[half], "saas-admin": self.pems[half]}
        self.settings.JWT_VERIFY_KEYS = {key: [self.files[1 - half]] for key in ("saas", "saas-admin")}


@pytest.fixture(params=[0, 1], ids=["earlier first", "next first"])
def other(request) -> int:
    """The half that goes on; the other one begins."""
    return int(request.param)


@pytest.fixture
def halves(settings, tmp_path, other: int) -> Halves:
    pems = (signing_keys.generate_pem(), signing_keys.generate_pem())
    for name, pem in zip(("first", "second"), pems, strict=True):
        (tmp_path / name).write_text(pem)
    halves = Halves(settings, pems, (str(tmp_path / "first"), str(tmp_path / "second")))
    halves.enter(1 - other)
    return halves


@pytest.fixture
def person(halves: Halves) -> Person:
    return user_factories.create_customer()


def log_in(product: ServiceClient, person: Person) -> Any:
    return product.post("/api/auth/login", {"email": person.user.email, "password": PASSWORD})


def test_a_cookie_of_one_half_is_known_at_the_other(product, halves, other, person: Person) -> None:
    assert log_in(product, person).status_code == 200

    halves.enter(other)

    assert product.get("/api/auth/me").json()["user"]["id"] == person.user.id


def test_a_session_ended_at_one_half_is_ended_at_the_other(product, halves, other, person: Person) -> None:
    token = log_in(product, person).json()["access_token"]
    halves.enter(other)

    assert product.post("/api/auth/logout", token=token).status_code == 204

    halves.enter(1 - other)
    assert product.get("/api/auth/me").status_code == 401


def test_an_access_token_of_one_half_is_accepted_at_the_other(product, halves, other, person: Person) -> None:
    halves.enter(other)

    assert product.get("/api/auth/me", token=person.token).status_code == 200


def test_a_staff_token_of_one_half_is_accepted_at_the_other(admin_ops, halves, other) -> None:
    staff = user_factories.create_staff_member()
    halves.enter(other)

    assert admin_ops.get("/api/admin/auth/me", token=staff.token).status_code == 200


def test_a_refresh_answer_that_was_lost_comes_again_from_the_other_half(product, halves, other, person) -> None:
    lost = product.post("/api/auth/refresh", {"refresh_token": person.refresh_token}).json()
    halves.enter(other)

    again = product.post("/api/auth/refresh", {"refresh_token": person.refresh_token})

    assert again.json()["refresh_token"] == lost["refresh_token"]


def test_a_password_set_at_one_half_is_right_at_the_other(product, halves, other, person: Person) -> None:
    halves.enter(other)

    assert log_in(product, person).status_code == 200
    assert User.objects.get(pk=person.user.pk).password.split("$")[2] == pepper_id(VALUES[other])


def test_a_second_factor_of_one_half_works_at_the_other(product, halves, other, person: Person) -> None:
    secret = product.post("/api/auth/mfa/totp", token=person.token).json()["secret"]
    halves.enter(other)

    answer = product.post("/api/auth/mfa/totp/confirm", {"code": pyotp.TOTP(secret).now()}, token=person.token)

    assert answer.status_code == 200


def test_second_factors_are_moved_and_then_need_one_value(product, halves, other, person: Person) -> None:
    product.post("/api/auth/mfa/totp", token=person.token)
    halves.enter(other)
    assert rotating_secrets.count_second_factors_of_other_keys() == 1

    assert rotating_secrets.encrypt_second_factors_anew() == 1

    assert rotating_secrets.count_second_factors_of_other_keys() == 0
    assert rotating_secrets.encrypt_second_factors_anew() == 0
    assert Totp.objects.count() == 1


def test_a_setup_that_was_left_is_not_made_valid_again_by_moving_it(
    product, halves, other, person: Person, monkeypatch
) -> None:
    product.post("/api/auth/mfa/totp", token=person.token)
    halves.enter(other)
    monkeypatch.setattr("saas.accounts.second_factor.SETUP_LIFETIME_SECONDS", -1)

    assert rotating_secrets.encrypt_second_factors_anew() == 0

    assert not Totp.objects.exists()


def test_a_mail_of_one_half_is_sent_by_the_other(product, halves, other, person: Person) -> None:
    mail_reset_link(person.user, by="usr_staff")
    halves.enter(other)

    token = link_token("password_reset")

    new = {"token": token, "new_password": "a brand new passphrase"}
    assert product.post("/api/auth/password/reset", new).status_code == 200


def test_what_one_half_signed_is_read_by_the_other(halves, other) -> None:
    signed = signing.dumps("a cursor", salt="test")
    halves.enter(other)

    assert signing.loads(signed, salt="test") == "a cursor"


def test_the_internals_open_to_the_tokens_of_both_halves(product, halves) -> None:
    halves.settings.OPEN_INTERNALS = False
    headers = [f"Bearer {value}" for value in (*VALUES, "neither of the two")]

    answers = [product.get("/openapi.json", headers={"Authorization": header}).status_code for header in headers]

    assert answers == [200, 200, 404]


def test_passwords_under_the_earlier_pepper_are_counted(halves, other, person: Person) -> None:
    assert rotating_secrets.count_passwords_of_earlier_peppers() == 0

    halves.enter(other)

    assert rotating_secrets.count_passwords_of_earlier_peppers() == 1
