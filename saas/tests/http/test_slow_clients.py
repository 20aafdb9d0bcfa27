"""Hundreds of clients that send half a head, or a byte of the body a second, slow no other client and are disconnected."""

import asyncio
import resource
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from saas.testing.servers.stack import SERVICES
from saas.tests.http.raw_client import Address, exchange, next_source_address, parse_responses
from saas.tests.http.services import Edge, Service, Target, get

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.django_db, pytest.mark.xdist_group("edge")]

PIECE_SECONDS = 1.0
CLIENTS = 300
HEAD_SECONDS, BODY_SECONDS = 10, 30
SEND_SECONDS = BODY_SECONDS - 2  # a piece that meets a closed connection resets it, and the answer is lost
WATCH_SECONDS = BODY_SECONDS + 15  # the servers of five times 600 clients share their machine with other tests
BEHIND = "webhooks behind the proxy"


@dataclass
class SlowClients:
    """Slow clients of one target, and others' requests meanwhile.

    ``heads`` and ``bodies``: status (or ``-``, ``open``, ``reset``) and seconds of each slow client. ``others``: status and
    seconds.
    """

    target: Target
    heads: list[tuple[str, float]] = field(default_factory=list)
    bodies: list[tuple[str, float]] = field(default_factory=list)
    others: list[tuple[int, float]] = field(default_factory=list)

    @property
    def half_head(self) -> bytes:
        return f"POST {self.target.post_path} HTTP/1.1\r\nHost: {self.target.host}\r\nX-Slow".encode()

    @property
    def head(self) -> bytes:
        headers = ("Content-Length: 1000", "Content-Type: application/json", "", "")
        return "\r\n".join((f"POST {self.target.post_path} HTTP/1.1", f"Host: {self.target.host}", *headers)).encode()

    async def run(self) -> None:
        heads = [self._slow(self.half_head, b"", self.heads) for _ in range(CLIENTS)]
        bodies = [self._slow(self.head, b" ", self.bodies) for _ in range(CLIENTS)]
        await asyncio.gather(*heads, *bodies)

    async def _slow(self, start: bytes, piece: bytes, results: list[tuple[str, float]]) -> None:
        started = time.monotonic()
        try:
            received = await self._trickled(start, piece)
        except TimeoutError:
            results.append(("open", WATCH_SECONDS))
        except OSError:
            results.append(("reset", time.monotonic() - started))
        else:
            statuses = [str(answer.status) for answer in parse_responses(received)[0]]
            results.append((" ".join(statuses) or "-", time.monotonic() - started))

    async def _trickled(self, start: bytes, piece: bytes) -> bytes:
        async with asyncio.timeout(WATCH_SECONDS):
            started = time.monotonic()
            reader, writer = await asyncio.open_connection(*self.target.address, local_addr=(next_source_address(), 0))
            try:
                writer.write(start)
                answer = asyncio.ensure_future(_received(reader))
                while not (await asyncio.wait([answer], timeout=PIECE_SECONDS))[0]:
                    if time.monotonic() - started < SEND_SECONDS:
                        writer.write(piece)
                return answer.result()
            finally:
                writer.close()

    def watch(self) -> None:
        """Send other clients' requests, one after the other, while the slow ones are connected."""
        deadline = time.monotonic() + BODY_SECONDS - 2
        time.sleep(2)
        while time.monotonic() < deadline:
            outcome = exchange(self.target.address, get(self.target.host), timeout_seconds=5)
            self.others.append(((*outcome.statuses, 0)[0], outcome.seconds))
            time.sleep(0.2)


async def _received(reader: asyncio.StreamReader) -> bytes:
    """Read until the server closes. A piece sent just after that resets the connection: what came before counts."""
    received = b""
    with suppress(ConnectionError):
        while piece := await reader.read(65_536):
            received += piece
    return received


@pytest.fixture(scope="module")
def slow_clients(edge: Edge) -> dict[str, SlowClients]:
    """Run the slow clients of all services at the same time, which saves minutes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    found = {service: SlowClients(edge.target(service)) for service in SERVICES}
    found[BEHIND] = SlowClients(_behind_a_proxy(edge))
    with ThreadPoolExecutor(len(found)) as pool:
        watching = [pool.submit(group.watch) for group in found.values()]
        asyncio.run(_run(list(found.values())))
        for one in watching:
            one.result()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return found


async def _run(slow_clients: list[SlowClients]) -> None:
    await asyncio.gather(*(group.run() for group in slow_clients))


def _behind_a_proxy(edge: Edge) -> Target:
    """Return the proxy before another process of the service, without slow clients of its own."""
    service = edge.start_service("webhooks")
    proxy = edge.start_proxy(webhooks=service.port)
    proxy.wait_until_ready(service.host)
    return Target("webhooks", proxy.address, is_proxied=True)


@pytest.mark.long
@pytest.mark.parametrize("name", [*SERVICES, BEHIND])
def test_other_clients_are_answered_at_once(slow_clients: dict[str, SlowClients], name: str) -> None:
    others = slow_clients[name].others

    assert {status for status, _ in others} == {200}
    assert statistics.median(seconds for _, seconds in others) < 0.05


@pytest.mark.long
@pytest.mark.parametrize("name", [*SERVICES, BEHIND])
def test_half_a_head_is_dropped_after_ten_seconds(slow_clients: dict[str, SlowClients], name: str) -> None:
    heads = slow_clients[name].heads

    assert {status for status, _ in heads} <= ({"400"} if name == BEHIND else {"-", "408"})
    assert all(HEAD_SECONDS - 2 < seconds < HEAD_SECONDS + 5 for _, seconds in heads)


@pytest.mark.long
@pytest.mark.parametrize("name", [*SERVICES, BEHIND])
def test_a_trickling_body_is_refused_after_thirty_seconds(slow_clients: dict[str, SlowClients], name: str) -> None:
    bodies = slow_clients[name].bodies

    assert {status for status, _ in bodies} == {"408"}
    assert all(BODY_SECONDS - 2 < seconds < BODY_SECONDS + 10 for _, seconds in bodies)


@pytest.mark.faults
@pytest.mark.parametrize("service", SERVICES)
def test_an_endless_header_costs_little_memory(edge: Edge, service: str) -> None:
    running = edge.service(service)
    before = memory(running)

    with ThreadPoolExecutor(20) as pool:
        peaks = list(pool.map(lambda _: endless(running.address, running), range(20)))

    assert max(peaks) - before < 40 * 2**20


def endless(address: Address, service: Service) -> int:
    """Send four megabytes of one header; return the service's memory right after."""
    with suppress(OSError):
        exchange(
            address, b"GET /health HTTP/1.1\r\nX-Long: ", *[b"a" * 65_536] * 64, pause_seconds=0, timeout_seconds=0.5
        )
    return memory(service)


def memory(service: Service) -> int:
    """Return the resident bytes of all of its processes."""
    group = service.process.pid
    stats = [path.read_text() for path in Path("/proc").glob("[0-9]*/stat") if path.exists()]
    fields = [stat.rpartition(")")[2].split() for stat in stats]
    pages = [int(one[21]) for one in fields if int(one[2]) == group]
    return sum(pages) * resource.getpagesize()
