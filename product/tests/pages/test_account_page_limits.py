"""What is sent from the pages of the account and of the login counts against the limits of the API's operation (T61)."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from saas.api import rate_limits
from saas.api.rate_limits import RateLimit
from saas.testing.clients import ServiceClient
from saas.testing.factories.user_factories import Person
from saas.testing.rate_limits import use_up

NEW = {"email": "new@example.net", "password": "an entirely new phrase"}
WRONG = {"current_password": "not the password"}


@dataclass(frozen=True)
class Case:
    """A form that spends ``limit``."""

    limit: RateLimit
    path: str
    fields: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.limit.scope} {self.path}"


OF_VISITORS = [
    Case(rate_limits.LOGIN, "/login", NEW),
    Case(rate_limits.MFA, "/login/code", {"code": "123456"}),
    Case(rate_limits.OAUTH, "/login/with/github"),
    Case(rate_limits.REGISTER, "/register", {**NEW, "password": "short"}),
    Case(rate_limits.REGISTER_HOURLY, "/register", {**NEW, "password": "short"}),
    Case(rate_limits.register_account_limit("new@example.net"), "/register", NEW),
    Case(rate_limits.PASSWORD_FORGOT, "/forgot", {"email": "new@example.net"}),
    Case(rate_limits.password_forgot_account_limit("new@example.net"), "/forgot", {"email": "New@Example.net"}),
    Case(rate_limits.MAILED_LINK, "/verify", {"token": "guess"}),
    Case(rate_limits.mailed_link_token_limit("guess"), "/verify", {"token": "guess"}),
]
OF_CUSTOMERS = [
    Case(rate_limits.MAIL_AGAIN, "/account/email", {"new_email": "new@example.net"}),
    Case(rate_limits.email_change_address_limit("new@b.example"), "/account/email", {"new_email": "New@b.example"}),
    Case(rate_limits.LOGIN, "/account/email", {"new_email": "new@example.net", **WRONG}),
    Case(rate_limits.MAIL_AGAIN, "/account/email/resend"),
    Case(rate_limits.LOGIN, "/account/password", {"new_password": "short"}),
    Case(rate_limits.CREDENTIAL_CHANGES, "/account/password", {"new_password": "short"}),
    Case(rate_limits.CREDENTIAL_CHANGES, "/account/second-factor", {"do": "on"}),
    Case(rate_limits.MFA, "/account/second-factor/setup", {"code": "123456"}),
    Case(rate_limits.OAUTH, "/account/providers/github", {"do": "link"}),
    Case(rate_limits.LOGIN, "/account/delete"),
    Case(rate_limits.WRITES, "/account", {"full_name": "Kim"}),
]


@pytest.fixture(autouse=True)
def _counting(github_sign_in: None) -> Iterator[None]:
    """Time stands still, so that no window ends within a test."""
    with time_machine.travel(timezone.now(), tick=False):
        yield


def send_once_too_often(client: ServiceClient, person: Person, case: Case, settings) -> Any:
    settings.RATE_LIMIT_SCALE = 1
    is_by_person = case.limit.key in (rate_limits.by_user, rate_limits.by_caller)
    use_up(replace(case.limit, key=lambda _: person.user.pk) if is_by_person else case.limit)
    return client.get(case.path) if case.path.startswith("/login/with/") else client.submit_form(case.path, case.fields)


@pytest.mark.parametrize("case", OF_VISITORS, ids=str)
def test_a_form_of_a_visitor_spends_the_limit_of_the_api(product, customer: Person, settings, case: Case) -> None:
    product.get("/login")
    product.cookies["saas_pending_login"] = "mfa_guess"

    answer = send_once_too_often(product, customer, case, settings)

    assert (answer.status_code, int(answer["Retry-After"]) > 0) == (429, True)


@pytest.mark.parametrize("case", OF_CUSTOMERS, ids=str)
def test_a_form_of_the_account_spends_the_limit_of_the_api(pages, customer: Person, settings, case: Case) -> None:
    answer = send_once_too_often(pages, customer, case, settings)

    assert (answer.status_code, int(answer["Retry-After"]) > 0) == (429, True)


def test_registering_ones_own_account_spends_the_limit_of_logins(product, customer: Person, settings) -> None:
    product.get("/register")
    sent = Case(rate_limits.LOGIN, "/register", {**NEW, "email": customer.user.email, "password": customer.password})

    answer = send_once_too_often(product, customer, sent, settings)

    assert (answer.status_code, "saas_session" in answer.cookies) == (429, False)
