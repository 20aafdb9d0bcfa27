"""A probe is answered at once, whatever is silent: at a real socket, from a server of production, with engines that are
frozen or swallowed. A proxy that gives up after a second would otherwise take every service out for a broker's sake."""

import json
import time
from contextlib import suppress
from http.client import HTTPConnection

import httpx
import pytest

from saas.testing.servers.fault_proxy import Mode
from saas.testing.servers.production import Server, killed_on_exit
from saas.testing.servers.stack import eventually

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.xdist_group("engines")]

AT_ONCE = 0.5  # seconds, on a machine that others use too; 0.1 is promised
WATCHED_SECONDS = 4.0


def probed(server):
    """What a probe by address is told, and after how long. (A client of httpx takes 40 ms to be made.)"""
    started = time.monotonic()
    link = HTTPConnection("127.0.0.1", server.port, timeout=5)
    link.request("GET", "/health/ready")
    answer = link.getresponse()
    body = json.loads(answer.read())
    link.close()
    return answer.status, body, time.monotonic() - started


def watched(server, record_property):
    """Probe for a while; the longest that it took."""
    took, until = [], time.monotonic() + WATCHED_SECONDS
    while time.monotonic() < until:
        took.append(probed(server)[2])
        time.sleep(0.05)
    record_property("slowest probe, seconds", max(took))
    return max(took)


def is_told(server, status, verdict, dependency):
    code, body, _ = probed(server)
    return (code, body["status"], body["dependencies"][dependency]["status"]) == (status, verdict, "failed")


@pytest.fixture
def frozen_postgres(harness):
    yield harness.postgres.freeze
    harness.postgres.thaw()


@pytest.fixture
def frozen_redis(harness):
    yield harness.redis.freeze
    harness.redis.thaw()


@pytest.fixture
def slow_database(harness):
    """Slower than a probe may be, and still well."""
    usual, harness.database.delay_seconds = harness.database.delay_seconds, 0.05
    harness.database.mode = Mode.SLOW
    yield
    harness.database.mode = Mode.UP
    harness.database.delay_seconds = usual


def test_a_silent_broker_makes_no_probe_wait(harness, record_property):
    assert probed(harness.product)[0] == 200
    harness.broker.mode = Mode.BLACK_HOLE

    slowest = watched(harness.product, record_property)

    assert slowest < AT_ONCE
    eventually(lambda: is_told(harness.product, 200, "degraded", "broker"), 10)


def test_a_frozen_redis_makes_no_probe_wait(harness, frozen_redis, record_property):
    frozen_redis()

    slowest = watched(harness.product, record_property)

    assert slowest < AT_ONCE
    eventually(lambda: is_told(harness.product, 200, "degraded", "cache"), 10)


def test_a_frozen_database_makes_no_probe_wait_and_is_known_soon(harness, frozen_postgres, record_property):
    assert probed(harness.product)[0] == 200
    frozen_postgres()

    slowest = watched(harness.product, record_property)

    assert slowest < AT_ONCE
    eventually(lambda: is_told(harness.product, 503, "unavailable", "database"), 10)


def test_a_service_starts_ready_although_the_broker_is_silent(harness, record_property):
    harness.broker.mode = Mode.BLACK_HOLE
    server = Server("admin_ops", harness.environment, harness.folder / "beside-a-silent-broker.log")

    with killed_on_exit(server):
        server.wait_until_ready()
        slowest = watched(server, record_property)

    assert slowest < AT_ONCE


def first_told(server):
    """The status of the first probe that is answered at all."""
    told = []

    def is_answered():
        with suppress(httpx.HTTPError):
            told.append(server.call("GET", "/health/ready", timeout=30).status_code)
        return told

    eventually(is_answered, 60)
    return told[0]


def test_a_new_worker_answers_its_first_probe_truthfully(harness, slow_database):
    server = Server("admin_ops", {**harness.environment, "WEB_CONCURRENCY": "1"}, harness.folder / "first-probe.log")

    with killed_on_exit(server):
        assert first_told(server) == 200
