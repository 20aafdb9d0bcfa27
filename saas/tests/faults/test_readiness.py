"""``/health/ready`` answers at once while an engine is frozen or unresponsive.

Otherwise a load balancer whose probe times out after a second would take every service out because of a broker.
"""

import json
import time
from contextlib import suppress
from http.client import HTTPConnection

import httpx
import pytest

from saas.testing.servers.fault_proxy import Mode
from saas.testing.servers.production import Server, killed_on_exit
from saas.testing.servers.stack import eventually

pytestmark = [pytest.mark.slow, pytest.mark.faults]

AT_ONCE = 0.5  # seconds, on a machine that others use too; 0.1 is promised
PROBING_SECONDS = 4.0


def probe(server):
    """Probe by address; return status, body and seconds. (Creating a client of httpx takes 40 ms.)"""
    started = time.monotonic()
    link = HTTPConnection("127.0.0.1", server.port, timeout=5)
    link.request("GET", "/health/ready")
    answer = link.getresponse()
    body = json.loads(answer.read())
    link.close()
    return answer.status, body, time.monotonic() - started


def slowest_probe(server, record_property):
    """Probe for a while; return the longest seconds."""
    took, until = [], time.monotonic() + PROBING_SECONDS
    while time.monotonic() < until:
        took.append(probe(server)[2])
        time.sleep(0.05)
    record_property("slowest probe, seconds", max(took))
    return max(took)


def reports_failure(server, status, verdict, dependency):
    code, body, _ = probe(server)
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
    """Slower than a probe may be, and still working."""
    usual, harness.database.delay_seconds = harness.database.delay_seconds, 0.05
    harness.database.mode = Mode.SLOW
    yield
    harness.database.mode = Mode.UP
    harness.database.delay_seconds = usual


def test_a_silent_broker_makes_no_probe_wait(harness, record_property):
    assert probe(harness.product)[0] == 200
    harness.broker.mode = Mode.BLACK_HOLE

    slowest = slowest_probe(harness.product, record_property)

    assert slowest < AT_ONCE
    eventually(lambda: reports_failure(harness.product, 200, "degraded", "broker"), 10)


def test_a_frozen_redis_makes_no_probe_wait(harness, frozen_redis, record_property):
    frozen_redis()

    slowest = slowest_probe(harness.product, record_property)

    assert slowest < AT_ONCE
    eventually(lambda: reports_failure(harness.product, 200, "degraded", "cache"), 10)


def test_a_frozen_database_makes_no_probe_wait_and_is_known_soon(harness, frozen_postgres, record_property):
    assert probe(harness.product)[0] == 200
    frozen_postgres()

    slowest = slowest_probe(harness.product, record_property)

    assert slowest < AT_ONCE
    eventually(lambda: reports_failure(harness.product, 503, "unavailable", "database"), 10)


def test_a_service_starts_ready_although_the_broker_is_silent(harness, record_property):
    harness.broker.mode = Mode.BLACK_HOLE
    server = Server("admin_ops", harness.environment, harness.folder / "silent-broker.log")

    with killed_on_exit(server):
        server.wait_until_ready()
        slowest = slowest_probe(server, record_property)

    assert slowest < AT_ONCE


def first_status(server):
    """Return the status of the first probe that is answered at all."""
    statuses = []

    def is_answered():
        with suppress(httpx.HTTPError):
            statuses.append(server.call("GET", "/health/ready", timeout=30).status_code)
        return statuses

    eventually(is_answered, 60)
    return statuses[0]


def test_a_new_worker_answers_its_first_probe_truthfully(harness, slow_database):
    server = Server("admin_ops", {**harness.environment, "WEB_CONCURRENCY": "1"}, harness.folder / "first-probe.log")

    with killed_on_exit(server):
        assert first_status(server) == 200
