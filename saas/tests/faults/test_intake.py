"""The intake under load, slow clients and dying servers: an event is stored if, and only if, it was acknowledged."""

import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from saas.testing.factories.event_factories import event, json_bytes, signature_headers
from saas.tests.faults.deliveries import fault_events, percentile, post_timed
from saas.tests.faults.webhook_system import PATIENCE_SECONDS, short_or_long

pytestmark = [pytest.mark.faults, pytest.mark.slow]

LIMIT = 1_048_576
STORED = "SELECT external_id FROM webhook_events_webhookevent"


def test_08_oversized_bodies_are_refused_and_memory_stays_flat(system):
    pid = system.serve()
    exact = json_bytes(event(padding="x" * (LIMIT - len(json_bytes(event(padding=""))))))
    assert len(exact) == LIMIT

    def statuses():
        return [post_raw(system, exact), post_raw(system, exact + b" "), post_raw(system, pieces(exact + b" "))]

    assert statuses() == [202, 413, 413]
    before = resident_kilobytes(pid)
    assert {post_raw(system, pieces(b"x" * 8 * LIMIT)) for _ in range(short_or_long(5, 100))} == {413}
    assert resident_kilobytes(pid) - before < 24_000


def test_09_fifty_slow_clients_keep_no_other_client_waiting(system):
    system.serve()
    slow = [socket.create_connection(("127.0.0.1", system.port)) for _ in range(50)]
    done = threading.Event()

    def drip():
        while not done.wait(1.0):
            for connection in slow:
                connection.send(b"x")

    for connection in slow:
        connection.send(b"POST /api/webhooks/stripe HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
    dripping = threading.Thread(target=drip)
    dripping.start()
    statuses, took = post_timed(system, fault_events(short_or_long(40, 400)))
    done.set()
    dripping.join()

    assert statuses == {202}
    system.report_figure(f"9: p99 of other clients {percentile(took, 99) * 1000:.0f} ms while 50 are slow")
    for connection in slow:
        connection.close()


def test_15_one_id_posted_many_times_at_once_is_accepted_once(system):
    system.serve()
    count = short_or_long(100, 1000)
    (payload,) = fault_events(1)
    body = json_bytes(payload)

    def deliver(_):
        answer = httpx.post(
            f"{system.url}/api/webhooks/stripe", content=body, headers=signature_headers(body), timeout=30
        )
        return answer.status_code, answer.json()["status"]

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(deliver, range(count)))

    assert sorted(answers) == [(202, "accepted")] + [(202, "duplicate")] * (count - 1)
    assert system.sql("SELECT count(*) FROM webhook_events_webhookdelivery WHERE outcome = 'duplicate'") == [
        (count - 1,)
    ]
    assert system.statuses() == {"queued": 1}


def test_18_events_whose_server_died_before_notifying_are_swept(system):
    pid = system.serve(fault="no notification")
    statuses = Posting(system, fault_events(short_or_long(120, 5000)))
    system.wait_until(lambda: statuses.accepted() > 50)
    system.signal(signal.SIGKILL, [pid])
    statuses.wait()

    accepted = statuses.accepted()
    assert stored(system) >= statuses.accepted_ids()
    system.start_processes("celery")
    system.start_processes("beat")
    system.wait_until_drained()

    assert set(system.effects()) >= statuses.accepted_ids()
    assert system.repeated_effects() == []
    system.report_figure(f"18: {accepted} acknowledged, {len(system.effects())} processed")


def test_27_a_stopped_database_is_answered_503_and_found_again(system):
    system.serve()
    posting = Posting(system, fault_events(short_or_long(150, 3000)), pause_seconds=0.02)
    system.wait_until(lambda: posting.accepted() > 20)

    system.postgres.stop("fast")
    system.wait_until(lambda: 503 in posting.statuses.values())
    assert system.answers("/health")
    time.sleep(short_or_long(1, 30))
    system.postgres.start()
    refused = len(posting.statuses)
    system.wait_until(lambda: posting.accepted_since(refused) or posting.is_over)
    posting.wait()

    assert set(posting.statuses.values()) == {202, 503}
    assert stored(system) >= posting.accepted_ids()
    assert system.post(fault_events(1, "afterwards")) == [202]


def test_28_what_was_acknowledged_survives_a_crash_of_the_database(system):
    system.serve()
    posting = Posting(system, fault_events(short_or_long(120, 4000)), pause_seconds=0.005)

    for _ in range(short_or_long(2, 5)):
        seen = posting.accepted()
        system.wait_until(lambda seen=seen: posting.accepted() > seen + 20 or posting.is_over)
        system.postgres.restart("immediate")
    posting.wait()

    assert set(posting.statuses.values()) <= {202, 503}
    assert stored(system) >= posting.accepted_ids()
    system.report_figure(f"28: {posting.accepted()} acknowledged, {len(stored(system))} stored")


class Posting:
    """Post deliveries from a thread of its own; ``statuses`` by event id grows."""

    def __init__(self, system, payloads, pause_seconds=0.0):
        self.statuses = {}
        self.thread = threading.Thread(target=self._post, args=(system, payloads, pause_seconds))
        self.thread.start()

    def _post(self, system, payloads, pause_seconds):
        for payload in payloads:
            (self.statuses[payload["id"]],) = system.post([payload])
            time.sleep(pause_seconds)

    def accepted(self):
        return len(self.accepted_ids())

    def accepted_ids(self):
        return {id for id, status in list(self.statuses.items()) if status == 202}

    def accepted_since(self, number):
        return 202 in list(self.statuses.values())[number:]

    @property
    def is_over(self):
        return not self.thread.is_alive()

    def wait(self):
        self.thread.join(PATIENCE_SECONDS)
        assert self.is_over


def stored(system):
    return {id for (id,) in system.sql(STORED)}


def post_raw(system, body):
    """Post ``body``: bytes, or an iterator of them, which is sent in chunks and without a valid signature."""
    headers = signature_headers(body) if isinstance(body, bytes) else {"Stripe-Signature": "t=1,v1=0"}
    return httpx.post(f"{system.url}/api/webhooks/stripe", content=body, headers=headers, timeout=30).status_code


def pieces(body, size=65_536):
    return (body[start : start + size] for start in range(0, len(body), size))


def resident_kilobytes(pid):
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1])
