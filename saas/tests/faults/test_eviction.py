"""A full Redis evicts the least used keys while customers work: what was refused stays refused. (T71)"""

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Event

import pyotp
import pytest

from saas.testing.servers.production import manage

pytestmark = [pytest.mark.slow, pytest.mark.faults]

BAN = """
from saas.accounts.models import StaffRole, User
from saas.accounts.staff.staff_administration import ban_user, invite_staff
boss, _ = invite_staff(email="boss@example.org", full_name="Boss", by="system", roles=[StaffRole.ADMIN])
ban_user(User.objects.get(email_canonical="{email}"), by=boss, reason="abuse")
"""
ROOM_BYTES = 1_000_000
FILLING = 200  # keys at a time


@pytest.fixture
def full_redis(harness):
    """Its client; the memory limit is little more than what it holds, and the least used key is evicted first."""
    client = harness.redis.client
    client.config_set("maxmemory", client.info("memory")["used_memory"] + ROOM_BYTES)
    client.config_set("maxmemory-policy", "allkeys-lru")
    yield client
    client.config_set("maxmemory", 0)
    client.config_set("maxmemory-policy", "noeviction")
    client.flushall()


def test_a_redis_that_evicts_keys_revives_nothing(harness, customer, full_redis):
    logged_out, banned = harness.register(), harness.register()
    assert harness.product.call("POST", "/api/auth/logout", token=logged_out["access_token"]).status_code == 204
    manage(harness.environment, "shell", "-v0", "-c", BAN.format(email=banned["email"]))
    careful, code = customer_with_used_code(harness)
    guessed = harness.register()
    assert {harness.log_in(guessed["email"], "a wrong password").status_code for _ in range(5)} == {401}

    seen = defaultdict(set)
    with filling(full_redis):
        for _ in range(10):
            seen["logged out"].add(harness.get_me(logged_out["access_token"]).status_code)
            seen["banned"].add(harness.get_me(banned["access_token"]).status_code)
            seen["banned, logging in"].add(harness.log_in(banned["email"]).status_code == 200)
            seen["throttled"].add(harness.log_in(guessed["email"]).status_code)
            seen["others"].add(harness.get_me(customer["access_token"]).status_code)
        assert log_in_with_code(harness, careful, code).status_code == 401

    expected = {
        "logged out": {401},
        "banned": {401},
        "banned, logging in": {False},
        "throttled": {429},
        "others": {200},
    }
    assert seen == expected
    assert full_redis.info("stats")["evicted_keys"] > FILLING
    assert harness.product.call("GET", "/api/auth/csrf").status_code == 200


def customer_with_used_code(harness):
    """A customer with a second factor, and a code that is still valid by time but was used just now."""
    person = harness.register()
    token = person["access_token"]
    secret = harness.product.call("POST", "/api/auth/mfa/totp", token=token).json()["secret"]
    totp, now = pyotp.TOTP(secret), datetime.now(UTC)
    confirmed = harness.product.call("POST", "/api/auth/mfa/totp/confirm", {"code": totp.at(now)}, token=token)
    assert confirmed.status_code == 200, confirmed.text
    code = totp.at(now + timedelta(seconds=30))  # the next one is taken already, and each works once
    assert log_in_with_code(harness, person, code).status_code == 200
    return person, code


def log_in_with_code(harness, person, code):
    pending = harness.log_in(person["email"]).json()
    return harness.product.call("POST", "/api/auth/mfa/verify", {"mfa_token": pending["mfa_token"], "code": code})


@contextmanager
def filling(client):
    """Let other users of the same Redis write without a pause."""
    is_over = Event()

    def fill():
        for number in count(step=FILLING):
            if is_over.is_set():
                return
            client.mset({f"filling:{number + n}": "x" * 2000 for n in range(FILLING)})

    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(fill)
        try:
            yield
        finally:
            is_over.set()
        work.result()
