"""Passwords, addresses and the second factor at Parity: Product's rules under this convention's names."""

import json
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
import time_machine

from saas.accounts.models import ResetRequest
from saas.accounts.passwords.password_reset_mails import handle_reset_request
from saas.testing.clients import ServiceClient
from saas.testing.factories.user_factories import PASSWORD, Person
from saas.testing.mails import link_token

PREFIXES = ["", "/api"]
NEW = "another horse, another staple"
NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(params=PREFIXES, ids=["no prefix", "api"])
def prefix(request: pytest.FixtureRequest) -> str:
    return request.param


def test_a_password_changed_at_parity_ends_the_other_sessions_at_product(
    parity: ServiceClient, product: ServiceClient, customer: Person, prefix: str
) -> None:
    changed = parity.post(
        f"{prefix}/auth/password/change", {"currentPassword": PASSWORD, "newPassword": NEW}, token=customer.token
    )

    assert changed.status_code == 200
    assert product.get("/api/auth/me", token=customer.token).status_code == 401
    assert product.get("/api/auth/me", token=changed.json()["access_token"]).status_code == 200


def test_a_refused_password_is_named_as_the_caller_wrote_it(
    parity: ServiceClient, customer: Person, prefix: str
) -> None:
    by_the_rules = parity.post(
        f"{prefix}/auth/password/change", {"currentPassword": PASSWORD, "newPassword": "short"}, token=customer.token
    )
    by_the_form = parity.post(f"{prefix}/auth/password/change", {"new_password": NEW}, token=customer.token)

    assert (by_the_rules.status_code, set(by_the_rules.json()["errors"])) == (422, {"newPassword"})
    assert (by_the_form.status_code, set(by_the_form.json()["errors"])) == (422, {"newPassword"})
    assert parity.get(f"{prefix}/auth/me", token=customer.token).status_code == 200


def test_a_forgotten_password_is_set_by_the_mailed_token(parity: ServiceClient, customer: Person, prefix: str) -> None:
    asked = parity.post(f"{prefix}/auth/password/forgot", {"email": customer.user.email})
    for request in ResetRequest.objects.filter(handled_at=None):
        handle_reset_request(request.pk)
    done = parity.post(f"{prefix}/auth/password/reset", {"token": link_token("password_reset"), "newPassword": NEW})

    assert (asked.status_code, done.json()) == (202, {"status": "password_set"})
    assert parity.post(f"{prefix}/auth/login", {"email": customer.user.email, "password": NEW}).status_code == 200


def test_an_address_is_verified_and_changed(parity: ServiceClient, customer: Person, prefix: str) -> None:
    again = parity.post(f"{prefix}/auth/email/resend", token=customer.token)
    changing = parity.post(
        f"{prefix}/auth/email/change",
        {"newEmail": "new@example.net", "currentPassword": PASSWORD},
        token=customer.token,
    )
    no_token = parity.post(f"{prefix}/auth/email/verify", {"token": "nonsense"})

    assert (again.status_code, changing.status_code) == (202, 202)
    assert no_token.status_code == 400


def test_reauthenticating_takes_the_current_password(parity: ServiceClient, customer: Person, prefix: str) -> None:
    right = parity.post(f"{prefix}/auth/reauthenticate", {"currentPassword": PASSWORD}, token=customer.token)
    wrong = parity.post(f"{prefix}/auth/reauthenticate", {"currentPassword": "not the password"}, token=customer.token)

    assert right.status_code == 204
    assert (wrong.status_code, set(wrong.json()["errors"])) == (422, {"currentPassword"})


def test_a_second_factor_set_up_at_parity_is_asked_for_in_both(
    parity: ServiceClient, product: ServiceClient, customer: Person, prefix: str
) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        fresh = parity.post(f"{prefix}/auth/login", {"email": customer.user.email, "password": PASSWORD}).json()
        setup = parity.post(f"{prefix}/auth/mfa/totp", token=fresh["access_token"]).json()
        totp = pyotp.TOTP(setup["secret"])
        confirmed = parity.post(
            f"{prefix}/auth/mfa/totp/confirm", {"code": totp.at(datetime.now(UTC))}, token=fresh["access_token"]
        )
        clock.shift(timedelta(minutes=1))
        half = parity.post(f"{prefix}/auth/login", {"email": customer.user.email, "password": PASSWORD})
        whole = parity.post(
            f"{prefix}/auth/mfa/verify", {"mfaToken": half.json()["mfaToken"], "code": totp.at(datetime.now(UTC))}
        )
        there = product.post("/api/auth/login", {"email": customer.user.email, "password": PASSWORD})

    assert set(setup) == {"secret", "otpauthUri", "qrSvg"}
    assert len(confirmed.json()["recoveryCodes"]) == 10
    assert set(half.json()) == {"mfaRequired", "mfaToken"}
    assert "saas_session" not in half.cookies
    assert whole.status_code == 200
    assert set(there.json()) == {"mfa_required", "mfa_token"}


def test_personal_data_are_exported_under_their_stored_names(
    parity: ServiceClient, customer: Person, prefix: str
) -> None:
    parity.patch(f"{prefix}/users/profile", {"displayName": "Kim"}, token=customer.token)

    exported = parity.get(f"{prefix}/users/export", token=customer.token)

    assert exported.status_code == 200
    assert set(exported.json()) == {"userId", "exportedAt", "personalData", "keptAfterDeletion"}
    assert '"display_name": "Kim"' in json.dumps(exported.json()["personalData"])


def test_an_account_is_deleted_at_parity_and_gone_at_product(
    parity: ServiceClient, product: ServiceClient, customer: Person, prefix: str
) -> None:
    deleted = parity.delete(f"{prefix}/users/me", {"currentPassword": PASSWORD}, token=customer.token)
    no_token = parity.post(f"{prefix}/auth/deletion/cancel", {"token": "nonsense"})

    assert (deleted.status_code, set(deleted.json()["deletion"])) == (202, {"requestedAt", "dueAt"})
    assert product.get("/api/auth/me", token=customer.token).status_code == 401
    assert (no_token.status_code, no_token.json()["code"]) == (400, "link_invalid")
