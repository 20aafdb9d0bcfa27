"""Guesses that come at the same moment. On PostgreSQL: SQLite has one writer anyway."""

import pytest

from saas.accounts.passwords import login_throttle
from saas.testing.concurrency import run_concurrently


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_twelve_concurrent_attempts_exactly_the_five_free_are_admitted() -> None:
    key = login_throttle.password_key("kim@example.net")

    outcome = run_concurrently(*[lambda: login_throttle.count_attempt(key)] * 12)

    assert outcome == ["done"] * 5 + ["too_many_attempts"] * 7
