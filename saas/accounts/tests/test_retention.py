"""What is over is deleted, and what is not stays."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from saas.accounts import one_time_tokens
from saas.accounts.models import (
    Audience,
    FailedAttempts,
    LoginSession,
    OAuthState,
    OneTimeToken,
    PendingLogin,
    RefreshToken,
    ResetRequest,
    User,
)
from saas.accounts.sessions import logins
from saas.accounts.sessions.session_store import SessionStore
from saas.accounts.staff.impersonations import ImpersonationRequest, impersonate
from saas.operations.retention import passes
from saas.testing.factories.user_factories import PASSWORD, Person

NOW = datetime(2030, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def test_an_oauth_state_is_deleted_when_it_expires(clock) -> None:
    OAuthState.objects.create(state_hash="a", expires_at=NOW + timedelta(minutes=10))

    assert passes.delete_expired(only_due=False) == 0
    clock.shift(timedelta(minutes=10, seconds=1))
    assert passes.delete_expired(only_due=False) == 1


def test_a_pending_login_is_deleted_when_it_expires(clock, customer: Person) -> None:
    PendingLogin.objects.create(token_hash="a", user=customer.user, epoch=0, expires_at=NOW + timedelta(minutes=5))

    assert passes.delete_expired(only_due=False) == 0
    clock.shift(timedelta(minutes=5, seconds=1))
    assert passes.delete_expired(only_due=False) == 1


def test_failed_attempts_are_deleted_when_they_no_longer_count(clock) -> None:
    with pytest.raises(logins.InvalidCredentials):
        logins.log_in(email="kim@example.net", password="wrong", audience=Audience.CUSTOMER)

    clock.shift(timedelta(minutes=30))
    passes.delete_expired(only_due=False)
    assert FailedAttempts.objects.count() == 1
    clock.shift(timedelta(seconds=1))
    passes.delete_expired(only_due=False)
    assert FailedAttempts.objects.count() == 0


def test_a_long_block_is_not_lifted_by_the_cleanup(clock) -> None:
    wait = timedelta(0)
    for _ in range(12):
        clock.shift(wait)
        with pytest.raises((logins.InvalidCredentials, logins.login_throttle.TooManyAttempts)):
            logins.log_in(email="kim@example.net", password="wrong", audience=Audience.CUSTOMER)
        wait = max(timedelta(0), FailedAttempts.objects.get().free_from - datetime.now(UTC))
    clock.shift(wait - timedelta(seconds=1))

    passes.delete_expired(only_due=False)

    assert FailedAttempts.objects.get().free_from > datetime.now(UTC)


@pytest.mark.parametrize(
    "purpose", [OneTimeToken.Purpose.RESET, OneTimeToken.Purpose.VERIFY, OneTimeToken.Purpose.KEEP]
)
def test_mailed_links_are_deleted_thirty_days_after_they_expire(clock, customer: Person, purpose) -> None:
    OneTimeToken.objects.all().delete()
    one_time_tokens.issue_one_time_token(customer.user, purpose)

    clock.shift(timedelta(days=30) + one_time_tokens.LIFETIMES[purpose])
    passes.delete_expired(only_due=False)
    assert OneTimeToken.objects.count() == 1
    clock.shift(timedelta(seconds=1))
    passes.delete_expired(only_due=False)
    assert OneTimeToken.objects.count() == 0


def test_links_that_tell_which_addresses_an_account_had_stay(clock, customer: Person) -> None:
    one_time_tokens.consume_one_time_token(
        one_time_tokens.find_one_time_token(
            one_time_tokens.issue_one_time_token(customer.user, OneTimeToken.Purpose.VERIFY),
            OneTimeToken.Purpose.VERIFY,
        )
    )
    one_time_tokens.issue_one_time_token(customer.user, OneTimeToken.Purpose.CHANGE, email="wanted@example.net")

    clock.shift(timedelta(days=400))
    passes.delete_expired(only_due=False)

    kept = OneTimeToken.objects.order_by("pk").values_list("email", "used_at")
    assert list(kept) == [(customer.user.email, NOW), ("wanted@example.net", None)]


def test_only_handled_reset_requests_are_deleted(clock) -> None:
    ResetRequest.objects.create(email="answered@example.net", created_at=NOW, handled_at=NOW)
    ResetRequest.objects.create(email="waiting@example.net", created_at=NOW)

    clock.shift(timedelta(days=31))
    passes.delete_expired(only_due=False)

    assert ResetRequest.objects.get().email == "waiting@example.net"


def test_a_spent_refresh_token_is_known_until_its_own_end(clock, customer: Person) -> None:
    logins.exchange_refresh_token(customer.refresh_token, audience=Audience.CUSTOMER)
    spent = RefreshToken.objects.exclude(used_at=None).get()

    clock.move_to(spent.expires_at)
    passes.delete_expired(only_due=False)
    assert RefreshToken.objects.filter(pk=spent.pk).exists()
    clock.shift(timedelta(seconds=1))
    passes.delete_expired(only_due=False)
    assert not RefreshToken.objects.filter(pk=spent.pk).exists()


def test_a_session_is_deleted_thirty_days_after_it_ended(clock, customer: Person, other: Person) -> None:
    session = LoginSession.objects.get(user=customer.user)
    logins.log_out(session)

    clock.shift(timedelta(days=30))
    passes.delete_expired(only_due=False)
    assert LoginSession.objects.count() == 2
    clock.shift(timedelta(seconds=1))
    passes.delete_expired(only_due=False)
    assert LoginSession.objects.get().user == other.user
    clock.move_to(LoginSession.objects.get().ends_at + timedelta(days=30))
    passes.delete_expired(only_due=False)
    assert LoginSession.objects.count() == 1
    clock.shift(timedelta(seconds=1))
    passes.delete_expired(only_due=False)
    assert not LoginSession.objects.exists()


def test_a_visitors_session_is_deleted_when_it_expires(clock) -> None:
    SessionStore().create()

    clock.shift(timedelta(days=1))
    passes.delete_expired(only_due=False)
    assert LoginSession.objects.count() == 1
    clock.shift(timedelta(seconds=1))
    passes.delete_expired(only_due=False)
    assert not LoginSession.objects.exists()


def test_sessions_of_impersonations_are_kept(clock, customer: Person, staff_member: Person) -> None:
    staff_session = LoginSession.objects.get(user=staff_member.user)
    row, _ = impersonate(customer.user, by=staff_session, request=ImpersonationRequest(reason="ticket 1"))

    clock.shift(timedelta(days=400))
    passes.delete_expired(only_due=False)

    row.refresh_from_db()
    assert {session.pk for session in LoginSession.objects.all()} == {row.session_id, staff_session.pk}


def test_cleanup_logs_no_one_out(clock, customer: Person) -> None:
    clock.shift(timedelta(days=13))
    passes.delete_expired(only_due=False)

    assert logins.exchange_refresh_token(customer.refresh_token, audience=Audience.CUSTOMER).user == customer.user
    login = logins.log_in(email=customer.user.email, password=PASSWORD, audience=Audience.CUSTOMER)
    assert isinstance(login, logins.Login)
    assert User.objects.count() == 1
