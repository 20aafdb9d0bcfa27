"""The table of limits, and every limit at an operation that spends it (T59, T61)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from saas.accounts.models import FailedAttempts, LoginSession
from saas.accounts.staff.impersonations import ImpersonationRequest, impersonate
from saas.api import rate_limits
from saas.api.rate_limits import CounterScope, Fallback, RateLimit
from saas.teams.models import Team
from saas.testing.clients import ServiceClient
from saas.testing.concurrency import run_concurrently
from saas.testing.factories import user_factories
from saas.testing.factories.team_factories import create_api_key, create_team, with_verified_email
from saas.testing.factories.user_factories import PASSWORD, Person
from saas.testing.rate_limits import ANONYMOUS_REQUEST, HERE, reset_rate_limits, use_up
from saas.testing.service_settings import service_settings

MINUTE, HOUR, DAY = 60, 3600, 86_400

TABLE = {
    "login": (30, MINUTE, Fallback.COUNT_LOCALLY),
    "register": (5, MINUTE, Fallback.COUNT_LOCALLY),
    "register-hourly": (20, HOUR, Fallback.COUNT_LOCALLY),
    "register-account": (3, HOUR, Fallback.COUNT_LOCALLY),
    "password-forgot": (20, HOUR, Fallback.COUNT_LOCALLY),
    "password-forgot-account": (5, HOUR, Fallback.COUNT_LOCALLY),
    "mailed-link": (20, MINUTE, Fallback.COUNT_LOCALLY),
    "mailed-link-token": (5, MINUTE, Fallback.COUNT_LOCALLY),
    "mail-again": (5, HOUR, Fallback.COUNT_LOCALLY),
    "email-change-address": (5, HOUR, Fallback.COUNT_LOCALLY),
    "credential-changes": (20, HOUR, Fallback.COUNT_LOCALLY),
    "team-invite-address": (20, DAY, Fallback.FAIL_CLOSED),
    "mfa": (20, MINUTE, Fallback.COUNT_LOCALLY),
    "refresh": (60, MINUTE, Fallback.FAIL_OPEN),
    "refresh-family": (10, MINUTE, Fallback.FAIL_OPEN),
    "oauth": (30, MINUTE, Fallback.COUNT_LOCALLY),
    "team-invite": (20, HOUR, Fallback.FAIL_CLOSED),
    "team-invite-daily": (100, DAY, Fallback.FAIL_CLOSED),
    "invitation-accept": (20, MINUTE, Fallback.COUNT_LOCALLY),
    "checkout": (10, MINUTE, Fallback.COUNT_LOCALLY),
    "export": (10, HOUR, Fallback.COUNT_LOCALLY),
    "reads": (600, MINUTE, Fallback.FAIL_OPEN),
    "writes": (120, MINUTE, Fallback.FAIL_OPEN),
    "team": (3000, MINUTE, Fallback.FAIL_OPEN),
    "staff-login": (10, MINUTE, Fallback.COUNT_LOCALLY),
    "impersonation": (20, HOUR, Fallback.FAIL_CLOSED),
}
BY_ARGUMENT = [
    rate_limits.register_account_limit,
    rate_limits.password_forgot_account_limit,
    rate_limits.email_change_address_limit,
    rate_limits.invitation_address_limit,
    rate_limits.mailed_link_token_limit,
    rate_limits.refresh_family_limit,
]


def all_limits() -> list[RateLimit]:
    named = [value for value in vars(rate_limits).values() if isinstance(value, RateLimit)]
    return [*named, *(make("x") for make in BY_ARGUMENT)]


def test_the_limits_are_those_of_the_table() -> None:
    assert {limit.scope: (limit.count, limit.seconds, limit.fallback) for limit in all_limits()} == TABLE


def test_guesses_and_costs_are_counted_across_processes() -> None:
    alone = {limit.scope for limit in all_limits() if limit.counter is not CounterScope.SHARED}

    assert alone == {"reads", "writes", "team"}


@dataclass(frozen=True)
class Case:
    """A request that spends ``limit`` under ``key``; both may depend on who asks."""

    limit: RateLimit | Callable[[str], RateLimit]
    call: str
    key: str | Callable[[Any], str] = HERE
    body: Any = None
    service: str = "product"
    by: str = ""
    argument: Callable[[Any], str] = field(default=lambda here: "")

    def made(self, argument: str) -> RateLimit:
        return self.limit if isinstance(self.limit, RateLimit) else self.limit(argument)

    def __str__(self) -> str:
        return f"{self.made('x').scope} {self.service} {self.call}"


LOGIN = {"email": "nobody@example.net", "password": "not the password"}
REGISTRATION = {"email": "new@example.net", "password": "short"}
ANSWERED = {"state": "s", "code": "c"}
NEW_PASSWORD = {"token": "guess", "new_password": "a fine long phrase"}
MY_PASSWORD = {"current_password": PASSWORD}
INVITED = {"token": "guess", "password": "a fine long phrase"}


def customer_id(here: Any) -> str:
    return str(here.customer.user.pk)


def staff_id(here: Any) -> str:
    return str(here.staff.user.pk)


def team_id_of(here: Any) -> str:
    return str(here.team_id)


CASES = [
    Case(rate_limits.LOGIN, "POST /api/auth/login", body=LOGIN),
    Case(rate_limits.LOGIN, "POST /auth/login", body=LOGIN, service="parity"),
    Case(rate_limits.LOGIN, "POST /api/auth/reauthenticate", body=MY_PASSWORD, by="customer"),
    Case(rate_limits.LOGIN, "POST /api/auth/password/change", body={"new_password": "short"}, by="customer"),
    Case(rate_limits.LOGIN, "DELETE /api/users/me", body={"current_password": "not mine"}, by="customer"),
    Case(rate_limits.REGISTER, "POST /api/auth/register", body=REGISTRATION),
    Case(rate_limits.REGISTER_HOURLY, "POST /api/auth/register", body=REGISTRATION),
    Case(rate_limits.register_account_limit, "POST /api/auth/register", body={**REGISTRATION, "password": "a fine long phrase"},
         argument=lambda _: "new@example.net"),
    Case(rate_limits.REFRESH, "POST /api/auth/refresh", body={"refresh_token": "rt_guess"}),
    Case(rate_limits.REFRESH, "POST /api/admin/auth/refresh", body={"refresh_token": "rt_guess"}, service="admin_ops"),
    Case(rate_limits.refresh_family_limit, "POST /api/auth/refresh", body={"refresh_token": "rt_x"},
         argument=lambda _: "rt_x"),
    Case(rate_limits.refresh_family_limit, "POST /api/admin/auth/refresh", body={"refresh_token": "rt_x"},
         argument=lambda _: "rt_x", service="admin_ops"),
    Case(rate_limits.OAUTH, "GET /api/auth/oauth/nobody"),
    Case(rate_limits.OAUTH, "GET /api/auth/oauth/nobody/callback"),
    Case(rate_limits.OAUTH, "POST /api/auth/oauth/nobody/callback", body=ANSWERED),
    Case(rate_limits.OAUTH, "POST /api/auth/oauth/nobody/link", body=MY_PASSWORD, by="customer"),
    Case(rate_limits.PASSWORD_FORGOT, "POST /api/auth/password/forgot", body={"email": "new@example.net"}),
    Case(rate_limits.password_forgot_account_limit, "POST /api/auth/password/forgot", body={"email": "A@B.example"},
         argument=lambda _: "a@b.example"),
    Case(rate_limits.MAILED_LINK, "POST /api/auth/password/reset", body=NEW_PASSWORD),
    Case(rate_limits.MAILED_LINK, "POST /api/auth/email/verify", body={"token": "guess"}),
    Case(rate_limits.MAILED_LINK, "POST /api/auth/email/verify/preview", body={"token": "guess"}),
    Case(rate_limits.MAILED_LINK, "POST /api/auth/email/disown", body={"token": "guess"}),
    Case(rate_limits.MAILED_LINK, "POST /api/auth/deletion/cancel", body={"token": "guess"}),
    Case(rate_limits.mailed_link_token_limit, "POST /api/auth/password/reset", body=NEW_PASSWORD,
         argument=lambda _: "guess"),
    Case(rate_limits.mailed_link_token_limit, "POST /api/auth/email/verify", body={"token": "guess"},
         argument=lambda _: "guess"),
    Case(rate_limits.mailed_link_token_limit, "POST /api/auth/email/verify/preview", body={"token": "guess"},
         argument=lambda _: "guess"),
    Case(rate_limits.mailed_link_token_limit, "POST /api/auth/email/disown", body={"token": "guess"},
         argument=lambda _: "guess"),
    Case(rate_limits.mailed_link_token_limit, "POST /api/auth/deletion/cancel", body={"token": "guess"},
         argument=lambda _: "guess"),
    Case(rate_limits.mailed_link_token_limit, "POST /api/invitations/accept", body={"token": "inv"},
         argument=lambda _: "inv", by="customer"),
    Case(rate_limits.MFA, "POST /api/auth/mfa/verify", body={"mfa_token": "guess", "code": "000000"}),
    Case(rate_limits.MFA, "POST /api/auth/mfa/totp/confirm", body={"code": "000000"}, by="customer"),
    Case(rate_limits.MFA, "POST /api/admin/auth/mfa/verify", body={"mfa_token": "guess", "code": "1"}, service="admin_ops"),
    Case(rate_limits.MFA, "POST /api/admin/auth/mfa/totp/confirm", body={"code": "1"}, by="staff", service="admin_ops"),
    Case(rate_limits.MAIL_AGAIN, "POST /api/auth/email/resend", key=customer_id, by="customer"),
    Case(rate_limits.MAIL_AGAIN, "POST /api/auth/email/change", body={"new_email": "c@d.test"}, key=customer_id, by="customer"),
    Case(
        rate_limits.email_change_address_limit,
        "POST /api/auth/email/change",
        body={"new_email": "C@D.example"},
        argument=lambda _: "c@d.example",
        by="customer",
    ),
    Case(rate_limits.CREDENTIAL_CHANGES, "POST /api/auth/password/change", body={"new_password": "short"}, key=customer_id,
         by="customer"),
    Case(rate_limits.CREDENTIAL_CHANGES, "DELETE /api/auth/mfa/totp", key=customer_id, by="customer"),
    Case(rate_limits.CREDENTIAL_CHANGES, "POST /api/auth/mfa/totp/confirm", body={"code": "1"}, key=customer_id, by="customer"),
    Case(rate_limits.CREDENTIAL_CHANGES, "POST /api/auth/mfa/recovery-codes", key=customer_id, by="customer"),
    Case(rate_limits.invitation_address_limit, "POST /api/teams/{team_id}/invitations", body={"email": "E@F.example"},
         argument=lambda _: "e@f.example", by="customer"),
    Case(rate_limits.EXPORT, "GET /api/users/export", key=customer_id, by="customer"),
    Case(rate_limits.CHECKOUT, "POST /api/subscriptions/checkout", body={"plan_id": "none"}, key=customer_id, by="customer"),
    Case(rate_limits.CHECKOUT, "POST /api/billing/payment-method", body={"type": "none"}, key=customer_id, by="customer"),
    Case(rate_limits.TEAM_INVITE, "POST /api/teams/{team_id}/invitations", body={"email": "e@f.test"},
         key=customer_id, by="customer"),
    Case(
        rate_limits.TEAM_INVITE_DAILY,
        "POST /api/teams/{team_id}/invitations",
        body={"email": "e@f.example"},
        key=team_id_of,
        by="customer",
    ),
    Case(rate_limits.INVITATION_ACCEPT, "POST /api/invitations/accept", body={"token": "guess"}, by="customer"),
    Case(rate_limits.INVITATION_ACCEPT, "POST /api/invitations/inv_guess/accept", by="customer"),
    Case(rate_limits.INVITATION_ACCEPT, "POST /api/invitations/register", body=INVITED),
    Case(rate_limits.REGISTER, "POST /api/invitations/register", body=INVITED),
    Case(rate_limits.REGISTER_HOURLY, "POST /api/invitations/register", body=INVITED),
    Case(rate_limits.mailed_link_token_limit, "POST /api/invitations/register", body=INVITED, argument=lambda _: "guess"),
    Case(rate_limits.READS, "GET /api/auth/me", key=customer_id, by="customer"),
    Case(rate_limits.READS, "GET /auth/me", key=customer_id, by="customer", service="parity"),
    Case(rate_limits.READS, "GET /api/admin/users", key=staff_id, by="staff", service="admin_ops"),
    Case(rate_limits.WRITES, "PATCH /api/users/profile", body={"display_name": "K"}, key=customer_id, by="customer"),
    Case(rate_limits.WRITES, "PUT /api/admin/users/nobody/ban", body={"reason": "x"},
         key=staff_id, by="staff", service="admin_ops"),
    Case(rate_limits.TEAM, "GET /api/teams/{team_id}", key=team_id_of, by="customer"),
    Case(rate_limits.STAFF_LOGIN, "POST /api/admin/auth/login", body=LOGIN, service="admin_ops"),
    Case(
        rate_limits.IMPERSONATION,
        "POST /api/admin/users/{user_id}/impersonate",
        body={"reason": ""},
        key=staff_id,
        by="staff",
        service="admin_ops",
    ),
]  # fmt: skip


@pytest.fixture
def here(db, settings) -> Iterator[SimpleNamespace]:
    """Time stands still: a window that ended in the middle of a test would forgive what the test counts."""
    settings.RATE_LIMIT_SCALE = 1
    with time_machine.travel(timezone.now(), tick=False):
        customer = with_verified_email(user_factories.create_customer())
        yield SimpleNamespace(
            customer=customer,
            other_customer=with_verified_email(user_factories.create_customer()),
            staff=user_factories.create_staff_member(),
            team_id=create_team(customer).pk,
        )


def limit_of(case: Case, here: SimpleNamespace) -> RateLimit:
    """The limit with its key already found."""
    limit = case.made(case.argument(here))
    if not isinstance(case.limit, RateLimit):
        return limit
    key = case.key if isinstance(case.key, str) else case.key(here)
    return replace(limit, key=lambda _: key)


def send(case: Case, here: SimpleNamespace) -> Any:
    method, path = case.call.split()
    person: Person | None = getattr(here, case.by, None)
    client = ServiceClient(case.service)
    url = path.format(team_id=here.team_id, user_id=here.customer.user.pk)
    return client.send(method, url, case.body, token=person.token if person else "")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_one_more_than_the_limit_is_refused_and_told_when_to_come_back(case: Case, here: SimpleNamespace) -> None:
    limit = limit_of(case, here)
    use_up(limit, except_for=1)

    last, refused = send(case, here), send(case, here)

    assert last.status_code != 429
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert 1 <= int(refused.headers["Retry-After"]) <= limit.seconds
    assert f'"{limit.scope}";r=0;t=' in refused.headers["RateLimit"]
    assert f'"{limit.scope}";q={limit.count};w={limit.seconds}' in refused.headers["RateLimit-Policy"]


LEFT, SENT = 2, 5  # no more than the smallest limit beside them lets through: register's, five a minute
TOGETHER = [case for case in CASES if case.made("x").counter is CounterScope.SHARED]


def passed_and_refused_at_once(case: Case, here: SimpleNamespace) -> tuple[int, int]:
    """Of ``SENT`` requests at the same moment, where ``LEFT`` may pass. Whatever was refused for another reason is neither."""
    reset_rate_limits()
    FailedAttempts.objects.all().delete()
    limit, answers = limit_of(case, here), []
    use_up(limit, except_for=LEFT)
    with service_settings(case.service):  # around all of them: each client puts back what it found
        run_concurrently(*[lambda: answers.append(send(case, here))] * SENT)
    refused = [answer for answer in answers if answer.status_code == 429]
    spent = [answer for answer in refused if f'"{limit.scope}";r=0;t=' in answer.headers.get("RateLimit", "")]
    return sum(answer.status_code < 500 for answer in answers) - len(refused), len(spent)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_exactly_as_many_pass_as_are_left(here: SimpleNamespace) -> None:
    """One test for all of them: emptying the tables after each would take ten times as long."""
    outcome = {str(case): passed_and_refused_at_once(case, here) for case in TOGETHER}

    assert {name: counted for name, counted in outcome.items() if counted != (LEFT, SENT - LEFT)} == {}
    assert len(outcome) == len(TOGETHER)


def test_a_mailed_token_is_counted_by_its_hash() -> None:
    assert "guess" not in rate_limits.mailed_link_token_limit("guess").key(ANONYMOUS_REQUEST)


def test_every_limit_has_a_case() -> None:
    assert {case.made("x").scope for case in CASES} == set(TABLE)


def test_a_stranger_does_not_use_a_teams_requests_up(here: SimpleNamespace, product) -> None:
    for _ in range(3):
        assert product.get(f"/api/teams/{here.team_id}", token=here.other_customer.token).status_code == 404

    answer = product.get(f"/api/teams/{here.team_id}", token=here.customer.token)

    assert '"team";r=2999;' in answer.headers["RateLimit"]


def test_what_is_left_is_told_with_every_answer_to_a_person(here: SimpleNamespace, product) -> None:
    first, second = (product.get("/api/auth/me", token=here.customer.token) for _ in range(2))
    written = product.patch("/api/users/profile", {"display_name": "K"}, token=here.customer.token)

    assert first.headers["RateLimit"].startswith('"reads";r=599;')
    assert second.headers["RateLimit"].startswith('"reads";r=598;')
    assert second.headers["RateLimit-Policy"] == '"reads";q=600;w=60'
    assert written.headers["RateLimit"].startswith('"writes";r=119;')
    assert (
        product.get("/api/auth/me", token=here.other_customer.token).headers["RateLimit"].startswith('"reads";r=599;')
    )


def test_api_keys_and_impersonations_are_counted_apart_from_the_user(here: SimpleNamespace, product) -> None:
    _, key = create_api_key(Team.objects.get(pk=here.team_id), here.customer)
    session = LoginSession.objects.get(sid=here.staff.session_id)
    _, as_customer = impersonate(here.customer.user, by=session, request=ImpersonationRequest(reason="ticket 1"))

    answers = [
        product.get(f"/api/teams/{here.team_id}", token=token) for token in (key, as_customer, here.customer.token)
    ]

    assert ['"reads";r=599;' in answer.headers["RateLimit"] for answer in answers] == [True] * 3
