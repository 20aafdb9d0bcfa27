"""What a thief of an unlocked device must not do: everything delicate asks for a login of the last minutes (T06)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from saas.accounts.models import Deletion, LoginSession, OAuthIdentity, OneTimeToken, RecoveryCode, Totp, User
from saas.mail.models import Mail
from saas.testing.clients import ServiceClient
from saas.testing.factories.team_factories import with_verified_email
from saas.testing.factories.user_factories import PASSWORD, Person

DELICATE: dict[str, dict[str, Any]] = {
    "POST /api/auth/password/change": {"new_password": "an entirely new phrase"},
    "POST /api/auth/email/change": {"new_email": "new@example.net"},
    "POST /api/auth/mfa/totp": {},
    "DELETE /api/auth/mfa/totp": {},
    "POST /api/auth/mfa/recovery-codes": {},
    "POST /api/auth/oauth/oidc/link": {},
    "DELETE /api/auth/identities/oidc": {},
    "DELETE /api/users/me": {},
}
# What each answers with the password; she has no second factor that could be taken off.
DONE = dict(zip(DELICATE, [200, 202, 200, 409, 409, 200, 204, 202], strict=True))


@pytest.fixture
def customer(customer: Person, idp) -> Person:
    """She has all that can be taken from her."""
    OAuthIdentity.objects.create(provider="oidc", issuer="https://id.example", subject="kim", user=customer.user)
    return with_verified_email(customer)


def everything() -> list[Any]:
    tables = (User, OAuthIdentity, Totp, RecoveryCode, OneTimeToken, Deletion, Mail, LoginSession)
    return [list(table.objects.order_by("pk").values()) for table in tables]


def send(product: ServiceClient, call: str, person: Person, body: dict[str, Any]) -> Any:
    method, path = call.split()
    return product.send(method, path, {**DELICATE[call], **body}, token=person.token)


@pytest.mark.parametrize("call", DELICATE)
def test_five_minutes_after_the_login_it_is_refused_and_nothing_happens(product, customer: Person, call: str) -> None:
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=5, seconds=1), tick=False):
        product.get("/api/auth/me", token=customer.token)  # notes when she was last seen
        before = everything()

        refused = send(product, call, customer, {})

    assert (refused.status_code, refused.json()["code"]) == (403, "reauth_required")
    assert everything() == before


def test_for_five_minutes_after_the_login_no_password_is_asked_for(product, customer: Person) -> None:
    logged_in_at = LoginSession.objects.get(user=customer.user).authenticated_at
    with time_machine.travel(logged_in_at + timedelta(minutes=5), tick=False):
        assert send(product, "POST /api/auth/email/change", customer, {}).status_code == 202


def test_the_right_password_forgets_the_wrong_ones_of_its_session(product, customer: Person) -> None:
    guesses = [*["not the password"] * 4, PASSWORD] * 2

    statuses = [
        product.post("/api/auth/reauthenticate", {"current_password": guess}, token=customer.token).status_code
        for guess in guesses
    ]

    assert statuses == [422, 422, 422, 422, 204] * 2


@pytest.mark.parametrize("call", DELICATE)
def test_with_the_password_it_is_done(product, customer: Person, call: str) -> None:
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1)):
        fresh = product.post("/api/auth/login", {"email": customer.user.email, "password": PASSWORD}).json()[
            "access_token"
        ]
        LoginSession.objects.update(authenticated_at=datetime.now(UTC) - timedelta(minutes=6))
        method, path = call.split()
        answer = product.send(method, path, {**DELICATE[call], "current_password": PASSWORD}, token=fresh)

    assert answer.status_code == DONE[call]
    assert answer.status_code != 409 or answer.json()["code"] == "mfa_not_enabled"


@pytest.mark.parametrize("call", DELICATE)
def test_a_wrong_password_is_refused_and_nothing_happens(product, customer: Person, call: str) -> None:
    product.get("/api/auth/me", token=customer.token)
    before = everything()

    refused = send(product, call, customer, {"current_password": "not the password"})

    assert (refused.status_code, list(refused.json()["errors"])) == (422, ["current_password"])
    assert everything() == before
