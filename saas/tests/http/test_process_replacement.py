"""Server processes that are replaced under traffic: rolling restarts, and workers that are killed, stopped or hang.

A rolling restart behind a proxy that never repeats a request fails none; without a drain some fail, which proves that the
test can fail. A lost worker costs the connections that it had accepted, the other goes on, and soon a new one runs.
"""

import os
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from saas.testing.servers.production import HOSTS, killed_on_exit
from saas.testing.servers.stack import SERVICES, eventually
from saas.tests.http.balancer import Balancer, haproxy_path
from saas.tests.http.hanging import PATH, SECONDS
from saas.tests.http.services import Service
from saas.tests.http.traffic import delivery, incomplete_login, report, traffic, who_am_i

pytestmark = [
    pytest.mark.slow,
    pytest.mark.faults,
    pytest.mark.postgres,
    pytest.mark.django_db,
    pytest.mark.xdist_group("edge"),
]

# ── Rolling restarts ─────────────────────────────────────────────────────────────────────────────────────────────────

WORKERS = 2
REQUESTS = 3000
DRAIN_SECONDS = 2.0  # ten times as long as between two probes
ROUNDS = 2


class Site:
    """One server of each service, in one of its two slots behind the load balancer."""

    def __init__(self, edge, stack):
        self.edge, self.stack = edge, stack
        self.environment = {**edge.environment, "DRAIN_SECONDS": str(DRAIN_SECONDS), "DATABASE_POOL_SIZE": "2"}
        first = edge.free_ports(2 * len(SERVICES) + 2)
        self.ports = {name: (first + 2 * index, first + 2 * index + 1) for index, name in enumerate(SERVICES)}
        self.servers = {name: self._start(name, 0) for name in SERVICES}
        self.balancer = Balancer(self.ports, edge.folder, port=first + 2 * len(SERVICES))
        stack.enter_context(killed_on_exit(self.balancer))
        for name in SERVICES:
            eventually(self.servers[name].is_ready, 60)
            self.balancer.wait_until_up(name, 0)
            eventually(lambda name=name: not self.balancer.is_up(name, 1), 10)

    def _start(self, name, slot):
        server = Service(name, self.environment, self.edge.folder, port=self.ports[name][slot], workers=WORKERS)
        self.stack.enter_context(killed_on_exit(server))
        return server

    def replace(self, name, number=signal.SIGTERM):
        """Start the next server in the free slot, then signal the old one to end, as an orchestrator does."""
        old = self.servers[name]
        slot = 1 - self.ports[name].index(old.port)
        self.servers[name] = self._start(name, slot)
        self.balancer.wait_until_up(name, slot)
        assert old.stop(number) == 0


@pytest.fixture(scope="module")
def site(edge):
    if not haproxy_path():
        pytest.skip("needs haproxy: apt-get install haproxy")
    with ExitStack() as stack:
        yield Site(edge, stack)


def register(site, number):
    """Register a customer; return the access token."""
    answer = httpx.post(
        f"http://127.0.0.1:{site.servers['product'].port}/api/auth/register",
        json={"email": f"rolling{number}@example.net", "password": "correct horse battery staple"},
        headers={"Host": HOSTS["product"], "X-Forwarded-For": f"203.0.113.{number}", "X-Forwarded-Proto": "https"},
        timeout=20,
        trust_env=False,
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["access_token"]


def mixed_requests(site):
    """Requests of customers, staff and the payment provider."""
    tokens = [register(site, number) for number in range(1, 5)]  # each may send 600 requests a minute
    return [
        *(who_am_i("product", "/api/auth/me", token) for token in tokens[:2]),
        *(who_am_i("parity", "/auth/me", token) for token in tokens[2:]),
        *[incomplete_login("product")] * 2,
        *[incomplete_login("parity")] * 2,
        *[incomplete_login("admin_ops")] * 4,
        *[delivery] * 6,
    ]


def test_two_rolling_restarts_of_every_service_fail_no_request(edge, site, record_property):
    with traffic(site.balancer.address, mixed_requests(site), rest_seconds=0.14) as seen, ThreadPoolExecutor() as pool:
        started = time.monotonic()
        list(pool.map(lambda name: [site.replace(name) for _ in range(ROUNDS)], SERVICES))
        seconds = time.monotonic() - started
        eventually(lambda: seen.sent_count >= REQUESTS, 60)

    figures = f"{len(seen.failures)} failed of {seen.sent_count}, replaced within {seconds:.0f} s"
    report(record_property, "a rolling restart of all services, twice", figures)
    assert seen.failures == []
    assert seen.sent_count >= REQUESTS
    assert seen.lost_events(edge.environment["DATABASE_URL"]) == set()


def test_control_without_a_drain_requests_fail(edge, site):
    with traffic(site.balancer.address, [delivery] * 6) as seen:
        eventually(lambda: seen.sent_count > 60)
        before = seen.failures
        site.replace("webhooks", signal.SIGINT)  # as from a terminal, where no drain is wanted

    assert before == []
    assert seen.failures != []
    assert seen.lost_events(edge.environment["DATABASE_URL"]) == set()


# ── Lost workers ─────────────────────────────────────────────────────────────────────────────────────────────────────

CALLERS = 16
HEALTH_REQUEST = f"GET /health HTTP/1.1\r\nHost: {HOSTS['webhooks']}\r\n\r\n"
REPLACED_SECONDS = 20  # granian waits 3.5 s first, and Django starts slowly on a crowded machine


@pytest.fixture
def server(edge):
    """The webhooks service with two workers, whose parent checks for hanging ones every few seconds.

    A new one for each test: a worker that dies twice within 5.5 seconds ends the server.
    """
    command = [sys.executable, "-m", "saas.tests.http.hanging"]
    started = Service("webhooks", edge.environment, edge.folder, port=edge.free_ports(), workers=2, command=command)
    with killed_on_exit(started):
        wait_until_both_answer(started)
        yield started


def workers(server):
    pid = server.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def accepted_ports(server, pid):
    """The clients' ports of the connections that a worker has accepted."""
    sockets = set()
    with suppress(FileNotFoundError):  # it has ended
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                sockets.add(os.readlink(file))
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {
        int(remote.partition(":")[2], 16)
        for _, local, remote, state, *_, inode in (row[:10] for row in rows)
        if state == "01" and f"socket:[{inode}]" in sockets and int(local.partition(":")[2], 16) == server.port
    }


def worker_of(server, line):
    """The worker that has accepted a connection, or None."""
    port = line.getsockname()[1]
    return next((pid for pid in workers(server) if port in accepted_ports(server, pid)), None)


def answering_worker(server):
    """The worker that has answered one more request, or None."""
    with suppress(OSError), socket.create_connection(server.address, timeout=2) as line:
        line.sendall(HEALTH_REQUEST.encode())
        if line.recv(65_536).startswith(b"HTTP/1.1 200 "):
            return worker_of(server, line)
    return None


def wait_until_both_answer(server):
    answered = set()

    def both_have_answered():
        answered.add(answering_worker(server))
        return len(answered.intersection(workers(server))) == 2

    eventually(both_have_answered, 60)


def is_replaced(server, victim):
    """There are two workers again, and the new one answers."""
    return (
        len(workers(server)) == 2 and victim not in workers(server) and answering_worker(server) == workers(server)[-1]
    )


def wait_until_all_are_connected(server):
    eventually(lambda: sum(len(accepted_ports(server, pid)) for pid in workers(server)) == CALLERS)


def killed(server, victim):
    os.kill(victim, signal.SIGKILL)


def stopped(server, victim):
    os.kill(victim, signal.SIGSTOP)


def hanging(server, victim):
    """Send a request that never releases the interpreter, on a connection that this worker has accepted."""
    while True:
        line = socket.create_connection(server.address, timeout=10)
        line.sendall(HEALTH_REQUEST.encode())
        assert line.recv(65_536)
        if worker_of(server, line) == victim:
            line.sendall(HEALTH_REQUEST.replace("/health", PATH).encode())
            return line
        line.close()


@pytest.mark.parametrize(("fault", "seconds"), [(killed, 0.0), (stopped, SECONDS), (hanging, SECONDS)])
def test_a_lost_worker_costs_its_own_connections_and_is_replaced(edge, server, fault, seconds, record_property):
    with traffic(server.address, [delivery] * CALLERS) as seen:
        wait_until_all_are_connected(server)
        other, victim = sorted(workers(server), key=lambda pid: len(accepted_ports(server, pid)))
        accepted_count = len(accepted_ports(server, victim))
        started, sent_count = time.monotonic(), seen.sent_count
        line = fault(server, victim)
        eventually(lambda: victim not in workers(server), seconds + 10)
        gone = time.monotonic() - started
        eventually(lambda: is_replaced(server, victim), REPLACED_SECONDS)
        replaced, meanwhile = time.monotonic() - started, seen.sent_count - sent_count
        eventually(lambda: seen.sent_count > sent_count + meanwhile + 200)

    figures = (
        f"{fault.__name__}: gone after {gone:.1f} s, replaced after {replaced:.1f} s; it held {accepted_count} of "
        f"{CALLERS} connections, {len(seen.failures)} of {seen.sent_count} deliveries failed"
    )
    report(record_property, "a worker", figures)
    assert 0 < len(seen.failures) <= accepted_count
    assert meanwhile > 100
    assert other in workers(server)
    assert seen.lost_events(edge.environment["DATABASE_URL"]) == set()
    if line:
        line.close()
