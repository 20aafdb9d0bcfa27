"""Guessing passwords: five tries, then longer and longer waits (T02, T03), and a bound on hashing."""

import os
import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.cache import caches
from django.db import connections

from saas.accounts.models import FailedAttempts, LoginSession
from saas.accounts.passwords import hashing_pool
from saas.accounts.passwords.hashing_pool import ConcurrencyLimiter, HashingBusy
from saas.testing.clients import ServiceClient
from saas.testing.factories.user_factories import PASSWORD, Person

START = datetime(2030, 1, 1, tzinfo=UTC)


def log_in(client: ServiceClient, email: str, password: str, number: int = 0) -> Any:
    path = "/api/auth/login"
    body = {"email": email, "password": password}
    return client.generic(
        "POST",
        path,
        client._encode_json(body, "application/json"),
        content_type="application/json",
        REMOTE_ADDR=f"203.0.113.{number}",
    )


def fail(product: ServiceClient, email: str, times: int) -> None:
    for number in range(times):
        assert log_in(product, email, "a wrong password", number).status_code == 401


def test_the_sixth_attempt_is_refused_whatever_the_address_and_spelling(
    product, customer: Person, other: Person
) -> None:
    spellings = [
        customer.user.email,
        customer.user.email.upper(),
        f" {customer.user.email}",
        customer.user.email.title(),
        customer.user.email,
    ]
    for number, spelling in enumerate(spellings):
        assert log_in(product, spelling, "a wrong password", number).status_code == 401
    assert log_in(product, other.user.email, PASSWORD, 6).status_code == 200
    caches["limits"].clear()

    answer = log_in(product, customer.user.email, PASSWORD, 7)

    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_attempts")
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert "saas_session" not in answer.cookies
    assert LoginSession.objects.filter(user=customer.user).count() == 1


def test_an_address_without_an_account_is_throttled_alike(product: ServiceClient, customer: Person) -> None:
    fail(product, "nobody@example.net", 5)
    fail(product, customer.user.email, 5)

    unknown = log_in(product, "nobody@example.net", PASSWORD)
    known = log_in(product, customer.user.email, PASSWORD)

    assert unknown.status_code == known.status_code == 429
    assert unknown.json()["detail"] == known.json()["detail"]


def test_while_throttled_who_is_logged_in_stays_so(product: ServiceClient, customer: Person) -> None:
    fail(product, customer.user.email, 5)

    assert product.get("/api/auth/me", token=customer.token).status_code == 200
    product.cookies["saas_session"] = customer.cookie_key
    assert product.get("/api/auth/me").status_code == 200


def test_each_further_failure_doubles_the_wait_up_to_a_quarter_of_an_hour(
    product: ServiceClient, customer: Person
) -> None:
    with time_machine.travel(START, tick=False) as clock:
        fail(product, customer.user.email, 5)
        for minutes in (1, 2, 4, 8, 15, 15):
            refused = log_in(product, customer.user.email, PASSWORD)
            assert (refused.status_code, refused.headers["Retry-After"]) == (429, str(minutes * 60))
            clock.shift(timedelta(minutes=minutes))
            fail(product, customer.user.email, 1)


def test_the_right_password_after_the_wait_forgets_the_failures(product: ServiceClient, customer: Person) -> None:
    with time_machine.travel(START, tick=False) as clock:
        fail(product, customer.user.email, 5)
        clock.shift(timedelta(minutes=1))

        assert log_in(product, customer.user.email, PASSWORD).status_code == 200

    assert FailedAttempts.objects.get().count == 0


def test_a_quarter_of_an_hours_peace_forgets_the_failures(product: ServiceClient, customer: Person) -> None:
    with time_machine.travel(START, tick=False) as clock:
        fail(product, customer.user.email, 4)
        clock.shift(timedelta(minutes=15))
        fail(product, customer.user.email, 4)

        assert log_in(product, customer.user.email, PASSWORD).status_code == 200


def test_the_counter_is_not_scaled_with_the_rate_limits(product: ServiceClient, customer: Person, settings) -> None:
    settings.RATE_LIMIT_SCALE = 1000
    fail(product, customer.user.email, 5)

    assert log_in(product, customer.user.email, PASSWORD).status_code == 429


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
def test_of_twenty_guesses_at_once_five_are_looked_at(service) -> None:
    statuses: list[int] = []

    def guess(number: int) -> None:
        statuses.append(log_in(service("product"), "kim@example.net", "a wrong password", number).status_code)
        connections.close_all()

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(statuses) <= {401, 429, 503}  # 503: waited a second for its turn on a busy machine
    assert statuses.count(401) == 5 or (503 in statuses and statuses.count(401) < 5)


def test_more_hashing_than_the_gate_takes_is_refused_at_once() -> None:
    gate = ConcurrencyLimiter(size=1, queue=0, seconds=5)

    with gate.slot(), pytest.raises(HashingBusy) as refusal, gate.slot():
        pass

    assert refusal.value.retry_after_seconds == 5
    with gate.slot():  # and the seat is free again
        pass


def test_who_waits_too_long_at_the_gate_is_refused() -> None:
    gate = ConcurrencyLimiter(size=1, queue=1, seconds=0.01)

    with gate.slot(), pytest.raises(HashingBusy), gate.slot():
        pass


def test_a_flood_of_logins_is_answered_503_and_counts_no_session(product, customer: Person, monkeypatch) -> None:
    gate = ConcurrencyLimiter(size=2, queue=0, seconds=5)
    monkeypatch.setattr(hashing_pool, "LIMITER", gate)

    with ExitStack() as busy:
        busy.enter_context(gate.slot())
        busy.enter_context(gate.slot())
        answer = log_in(product, customer.user.email, PASSWORD)

    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "busy", "5")
    assert LoginSession.objects.count() == 1
    assert not FailedAttempts.objects.exists()  # refused before anything was written
    assert log_in(product, customer.user.email, PASSWORD).status_code == 200


def test_an_attempt_that_nobody_had_time_to_look_at_is_not_counted(product, customer: Person, monkeypatch) -> None:
    fail(product, customer.user.email, 4)
    monkeypatch.setattr(hashing_pool, "LIMITER", gate := ConcurrencyLimiter(size=1, queue=1, seconds=0.01))

    with gate.slot():
        statuses = [log_in(product, customer.user.email, PASSWORD).status_code for _ in range(6)]

    assert statuses == [503] * 6
    assert FailedAttempts.objects.get().count == 4
    assert log_in(product, customer.user.email, PASSWORD).status_code == 200


def test_the_limiter_runs_as_many_as_processors_at_most_four() -> None:
    with ExitStack() as seats:
        for _ in range(min(4, os.cpu_count() or 1)):
            seats.enter_context(hashing_pool.LIMITER.slot())
        assert hashing_pool.LIMITER._slots._value == 0
        assert hashing_pool.LIMITER._queue._value == 32
