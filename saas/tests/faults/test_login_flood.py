"""Far more logins than the processors can hash: each is answered, some with 503, and other requests go on. (T79)"""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from saas.testing.servers.production import HOSTS
from saas.tests.faults.deliveries import percentile
from saas.tests.faults.webhook_system import IS_LONG, short_or_long

pytestmark = [pytest.mark.slow, pytest.mark.faults]

NO_ANSWER = 0  # the status of a login that got no answer
EXPECTED = {401, 429, 503} | (
    {NO_ANSWER} if IS_LONG else set()
)  # 6000 in 30 s are more than one machine's sockets take
PATIENCE_SECONDS = 30


def test_a_flood_of_logins_leaves_room_for_others(harness, customer, record_property):
    """The long form: 200 a second for 30 seconds."""
    count, per_second, senders = short_or_long(150, 6000), short_or_long(1000, 200), short_or_long(64, 400)
    workers, seen = children(harness), len(harness.product.text)

    with ThreadPoolExecutor(senders) as pool, ThreadPoolExecutor(1) as clock:
        flood = clock.submit(lambda: [paced(pool, harness, number, per_second) for number in range(count)])
        latencies = measure_other_requests(
            harness, customer, lambda: flood.done() and all(one.done() for one in flood.result())
        )
        answers = [one.result() for one in flood.result()]

    statuses = Counter(status for status, _ in answers)
    record_property("answers to logins", dict(statuses))
    record_property("p95 and slowest me, seconds", f"{percentile(latencies, 95):.2f}, {max(latencies):.2f}")
    assert set(statuses) <= EXPECTED
    assert statuses[401] > 0
    assert all(retry_after for status, retry_after in answers if status in {429, 503})
    assert children(harness) == workers
    assert "worker_hangs" not in harness.product.text[seen:]


def measure_other_requests(harness, person, is_over):
    """Return the seconds that each of the person's requests took until ``is_over``; all of them succeed."""
    latencies = []
    while not is_over():
        asked = time.monotonic()
        assert harness.get_me(person["access_token"]).status_code == 200
        latencies.append(time.monotonic() - asked)
        time.sleep(0.15)  # 600 a minute are allowed
    return latencies


def paced(pool, harness, number, per_second):
    time.sleep(1 / per_second)
    return pool.submit(log_in, harness.product.port, number)


def log_in(port, number):
    """Send a login from an address of its own; return status and Retry-After. The plainest client costs the least CPU."""
    body = json.dumps({"email": f"flood{number}@example.net", "password": "a wrong password"})
    headers = {
        "Host": HOSTS["product"],
        "Content-Type": "application/json",
        "X-Forwarded-For": f"198.18.{number // 250}.{number % 250 + 1}",
        "X-Forwarded-Proto": "https",
    }
    link = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        link.request("POST", "/api/auth/login", body, headers)
        answer = link.getresponse()
        answer.read()
        return answer.status, answer.headers["Retry-After"]
    except (OSError, HTTPException):
        return NO_ANSWER, None
    finally:
        link.close()


def children(harness):
    pid = harness.product.process.pid
    return sorted(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
