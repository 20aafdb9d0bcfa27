"""What is sent from the pages of the account and of the login counts against the limits of the API's operation (T61)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from saas.api import rate_limits
from saas.api.rate_limits import RateLimit
from saas.settings.accounts import OAuthProvider
from saas.testing.clients import ServiceClient
from saas.testing.factories.user_factories import Person
from saas.testing.rate_limits import HERE, use_up

NEW = {"email": "new@example.net", "password": "an entirely new phrase"}
WRONG = {"current_password": "not the password"}


@dataclass(frozen=True)
class Case:
    """A form that spends ``limit``, which counts the address or the person; one that is a function, its ``argument``."""

    limit: RateLimit | Callable[[str], RateLimit]
    path: str
    fields: dict[str, str] = field(default_factory=dict)
    argument: str = ""

    def __str__(self) -> str:
        return f"{self.made().scope} {self.path}"

    def made(self) -> RateLimit:
        return self.limit if isinstance(self.limit, RateLimit) else self.limit(self.argument)

    def counted_for(self, person: Person) -> RateLimit:
        limit = self.made()
        if not isinstance(self.limit, RateLimit):
            return limit
        key = HERE if limit.key is rate_limits.by_address else person.user.pk
        return replace(limit, key=lambda _: key)


OF_VISITORS = [
    Case(rate_limits.LOGIN, "/login", NEW),
    Case(rate_limits.MFA, "/login/code", {"code": "123456"}),
    Case(rate_limits.OAUTH, "/login/with/github"),
    Case(rate_limits.REGISTER, "/register", {**NEW, "password": "short"}),
    Case(rate_limits.REGISTER_HOURLY, "/register", {**NEW, "password": "short"}),
    Case(rate_limits.register_account_limit, "/register", NEW, "new@example.net"),
    Case(rate_limits.PASSWORD_FORGOT, "/forgot", {"email": "new@example.net"}),
    Case(rate_limits.password_forgot_account_limit, "/forgot", {"email": "New@Example.net"}, "new@example.net"),
    Case(rate_limits.MAILED_LINK, "/verify", {"token": "guess"}),
    Case(rate_limits.mailed_link_token_limit, "/verify", {"token": "guess"}, "guess"),
]
OF_CUSTOMERS = [
    Case(rate_limits.MAIL_AGAIN, "/account/email", {"new_email": "new@example.net"}),
    Case(rate_limits.email_change_address_limit, "/account/email", {"new_email": "New@b.example"}, "new@b.example"),
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
def _counting(settings) -> Iterator[None]:
    """Time stands still: a window that ended in the middle of a test would forgive what the test counts."""
    settings.OAUTH_PROVIDERS = {"github": OAuthProvider("github", "id", "secret", hosts=("github.com",))}
    with time_machine.travel(timezone.now(), tick=False):
        yield


def send_once_too_often(client: ServiceClient, limit: RateLimit, case: Case, settings) -> Any:
    settings.RATE_LIMIT_SCALE = 1
    use_up(limit)
    return client.get(case.path) if case.path.startswith("/login/with/") else client.submit_form(case.path, case.fields)


@pytest.mark.parametrize("case", OF_VISITORS, ids=str)
def test_a_form_of_a_visitor_spends_the_limit_of_the_api(product, customer: Person, settings, case: Case) -> None:
    product.get("/login")
    product.cookies["saas_pending_login"] = "mfa_guess"

    answer = send_once_too_often(product, case.counted_for(customer), case, settings)

    assert (answer.status_code, int(answer["Retry-After"]) > 0) == (429, True)


@pytest.mark.parametrize("case", OF_CUSTOMERS, ids=str)
def test_a_form_of_the_account_spends_the_limit_of_the_api(pages, customer: Person, settings, case: Case) -> None:
    answer = send_once_too_often(pages, case.counted_for(customer), case, settings)

    assert (answer.status_code, int(answer["Retry-After"]) > 0) == (429, True)


def test_registering_ones_own_account_spends_the_limit_of_logins(product, customer: Person, settings) -> None:
    product.get("/register")
    sent = Case(rate_limits.LOGIN, "/register", {**NEW, "email": customer.user.email, "password": customer.password})

    answer = send_once_too_often(product, sent.counted_for(customer), sent, settings)

    assert (answer.status_code, "saas_session" in answer.cookies) == (429, False)
