"""Every service replaced while it is used, behind a proxy that never repeats a request: nobody notices. And that some do
notice where a service ends without saying so before, or else this test could not fail."""

import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from saas.testing.servers.production import HOSTS, killed_on_exit
from saas.testing.servers.stack import SERVICES, eventually
from saas.tests.http.balancer import Balancer, haproxy_path
from saas.tests.http.services import Service
from saas.tests.http.traffic import delivery, incomplete_login, traffic, who_am_i

pytestmark = [
    pytest.mark.slow,
    pytest.mark.faults,
    pytest.mark.postgres,
    pytest.mark.django_db,
    pytest.mark.xdist_group("edge"),
]

WORKERS = 2
REQUESTS = 3000
DRAIN_SECONDS = 2.0  # ten times as long as between two probes
ROUNDS = 2


class Site:
    """One server of each service, in one of its two places behind the proxy."""

    def __init__(self, edge, stack):
        self.edge, self.stack = edge, stack
        self.told = {**edge.environment, "DRAIN_SECONDS": str(DRAIN_SECONDS), "DATABASE_POOL_SIZE": "2"}
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
        server = Service(name, self.told, self.edge.folder, port=self.ports[name][slot], workers=WORKERS)
        self.stack.enter_context(killed_on_exit(server))
        return server

    def replace(self, name, number=signal.SIGTERM):
        """Start the next one in the free place, then ask the old one to end, as an orchestrator does."""
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


def registered(site, number):
    """A new customer's token."""
    answer = httpx.post(
        f"http://127.0.0.1:{site.servers['product'].port}/api/auth/register",
        json={"email": f"rolling{number}@example.net", "password": "correct horse battery staple"},
        headers={"Host": HOSTS["product"], "X-Forwarded-For": f"203.0.113.{number}", "X-Forwarded-Proto": "https"},
        timeout=20,
        trust_env=False,
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["access_token"]


def everybodys(site):
    """What customers, staff and the provider ask."""
    tokens = [registered(site, number) for number in range(1, 5)]  # 600 questions a minute are allowed to each
    return [
        *(who_am_i("product", "/api/auth/me", token) for token in tokens[:2]),
        *(who_am_i("parity", "/auth/me", token) for token in tokens[2:]),
        *[incomplete_login("product")] * 2,
        *[incomplete_login("parity")] * 2,
        *[incomplete_login("admin_ops")] * 4,
        *[delivery] * 6,
    ]


def test_every_service_is_replaced_twice_and_nobody_notices(edge, site, record_property):
    with traffic(site.balancer.address, everybodys(site), rest_seconds=0.14) as seen, ThreadPoolExecutor() as pool:
        started = time.monotonic()
        list(pool.map(lambda name: [site.replace(name) for _ in range(ROUNDS)], SERVICES))
        seconds = time.monotonic() - started
        eventually(lambda: seen.asked >= REQUESTS, 60)

    figures = f"{len(seen.failures)} failed of {seen.asked}, replaced within {seconds:.0f} s"
    record_property("a rolling restart of all services, twice", figures)
    sys.stderr.write(f"\nA rolling restart of all services, twice: {figures}\n")
    assert seen.failures == []
    assert seen.asked >= REQUESTS
    assert seen.lost(edge.environment["DATABASE_URL"]) == set()


def test_without_a_drain_some_do_notice(edge, site):
    with traffic(site.balancer.address, [delivery] * 6) as seen:
        eventually(lambda: seen.asked > 60)
        before = seen.failures
        site.replace("webhooks", signal.SIGINT)  # as from a terminal, where nobody wants to wait

    assert before == []
    assert seen.failures != []
    assert seen.lost(edge.environment["DATABASE_URL"]) == set()
