"""A Redis that is full and throws out whatever was used least, while people work: what was refused stays refused. (T71)"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Event

import pyotp
import pytest

from saas.testing.servers.production import manage

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.xdist_group("engines")]

BAN = """
from saas.accounts.models import Role, User
from saas.accounts.staff import ban, invite_staff
boss, _ = invite_staff(email="boss@example.org", full_name="Boss", by="system", roles=[Role.ADMIN])
ban(User.objects.get(email_canonical="{email}"), by=boss, reason="abuse")
"""
ROOM_BYTES = 1_000_000
FILLING = 200  # keys at a time


@pytest.fixture
def full_redis(harness):
    """Its client; there is room for little more than what is in it, and the oldest goes first."""
    client = harness.redis.client
    client.config_set("maxmemory", client.info("memory")["used_memory"] + ROOM_BYTES)
    client.config_set("maxmemory-policy", "allkeys-lru")
    yield client
    client.config_set("maxmemory", 0)
    client.config_set("maxmemory-policy", "noeviction")
    client.flushall()


def test_a_redis_that_throws_out_what_it_likes_revives_nothing(harness, customer, full_redis):
    logged_out, banned = harness.register(), harness.register()
    assert harness.product.call("POST", "/api/auth/logout", token=logged_out["access_token"]).status_code == 204
    manage(harness.environment, "shell", "-v0", "-c", BAN.format(email=banned["email"]))
    careful, code = with_a_used_code(harness)
    guessed = harness.register()
    assert {harness.log_in(guessed["email"], "a wrong password").status_code for _ in range(5)} == {401}

    with filling(full_redis):
        for _ in range(10):
            assert harness.get_me(logged_out["access_token"]).status_code == 401
            assert harness.get_me(banned["access_token"]).status_code == 401
            assert harness.log_in(banned["email"]).status_code != 200
            assert harness.log_in(guessed["email"]).status_code == 429
            assert harness.get_me(customer["access_token"]).status_code == 200
        assert prove(harness, careful, code).status_code == 401

    assert full_redis.info("stats")["evicted_keys"] > FILLING
    assert harness.product.call("GET", "/api/auth/csrf").status_code == 200


def with_a_used_code(harness):
    """Somebody whose second factor is on, and the code, still of the time, with which she has just logged in."""
    una = harness.register()
    token = una["access_token"]
    secret = harness.product.call("POST", "/api/auth/mfa/totp", token=token).json()["secret"]
    totp, now = pyotp.TOTP(secret), datetime.now(UTC)
    confirmed = harness.product.call("POST", "/api/auth/mfa/totp/confirm", {"code": totp.at(now)}, token=token)
    assert confirmed.status_code == 200, confirmed.text
    code = totp.at(now + timedelta(seconds=30))  # the next one is taken already, and each works once
    assert prove(harness, una, code).status_code == 200
    return una, code


def prove(harness, person, code):
    half = harness.log_in(person["email"]).json()
    return harness.product.call("POST", "/api/auth/mfa/verify", {"mfa_token": half["mfa_token"], "code": code})


@contextmanager
def filling(client):
    """Other users of the same Redis write without a pause."""
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
