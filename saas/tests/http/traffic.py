"""Clients that go on asking, each over a connection that it keeps, and everything that they were told."""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from itertools import count
from threading import Event, Thread
from typing import NamedTuple

import psycopg

from saas.testing.factories.event_factories import event, json_bytes, signature_headers
from saas.testing.servers.production import HOSTS, STRIPE_SECRET
from saas.tests.http.raw_client import Address
from saas.tests.http.services import POST_PATHS

_CALLERS = count(1)


class Request(NamedTuple):
    """``delivers``: the event's id, if it is a delivery."""

    service: str
    method: str
    path: str
    expected: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    delivers: str = ""


def delivery() -> Request:
    """One more event, signed."""
    event_id = f"evt_{secrets.token_hex(8)}"
    body = json_bytes(event(event_id, livemode=True))
    headers = {"Content-Type": "application/json", **signature_headers(body, secret=STRIPE_SECRET)}
    return Request("webhooks", "POST", POST_PATHS["webhooks"], 202, body, tuple(headers.items()), event_id)


def incomplete_login(service: str) -> Callable[[], Request]:
    json_type = (("Content-Type", "application/json"),)
    return lambda: Request(service, "POST", POST_PATHS[service], 422, b"{}", json_type)


def who_am_i(service: str, path: str, token: str) -> Callable[[], Request]:
    return lambda: Request(service, "GET", path, 200, headers=(("Authorization", f"Bearer {token}"),))


class Caller:
    """Asks again and again, with a rest after each answer."""

    def __init__(self, address: Address, make: Callable[[], Request], rest_seconds: float) -> None:
        self.make, self.rest_seconds = make, rest_seconds
        self.link = HTTPConnection(*address, timeout=30)
        self.is_over = Event()
        self.asked = 0
        self.failures: list[str] = []
        self.accepted: set[str] = set()  # ids of events that were answered as expected
        self.thread = Thread(target=self._work)

    def _work(self) -> None:
        while not self.is_over.wait(self.rest_seconds):
            request = self.make()
            self.asked += 1
            if told := self._ask(request):
                self.failures.append(f"{request.service} {request.method} {request.path}: {told}")
            elif request.delivers:
                self.accepted.add(request.delivers)
        self.link.close()

    def _ask(self, request: Request) -> str:
        """What went wrong; empty if nothing did."""
        headers = {"Host": HOSTS[request.service], **_forwarded(), **dict(request.headers)}
        try:
            self.link.request(request.method, request.path, body=request.body or None, headers=headers)
            answer = self.link.getresponse()
            body = answer.read()
        except (OSError, HTTPException) as error:
            self.link.close()
            return repr(error)
        return "" if answer.status == request.expected else f"{answer.status} {body[:200]!r}"


def _forwarded() -> dict[str, str]:
    """From an address of its own, in a network that hundreds of requests will not come from again: limits count both."""
    number = next(_CALLERS)
    address = f"198.{18 + number // 256 % 2}.{number % 256}.{number // 512 % 250 + 1}"
    return {"X-Forwarded-For": address, "X-Forwarded-Proto": "https"}


class Traffic:
    def __init__(self, callers: Sequence[Caller]) -> None:
        self.callers = callers
        self.started = time.monotonic()

    @property
    def asked(self) -> int:
        return sum(caller.asked for caller in self.callers)

    @property
    def failures(self) -> list[str]:
        return [failure for caller in self.callers for failure in caller.failures]

    @property
    def accepted(self) -> set[str]:
        return {event_id for caller in self.callers for event_id in caller.accepted}

    def lost(self, database: str) -> set[str]:
        """Ids of events that were accepted and are not stored."""
        with psycopg.connect(database) as connection:
            rows = connection.execute("SELECT external_id FROM webhook_events_webhookevent").fetchall()
        return self.accepted - {external_id for (external_id,) in rows}


@contextmanager
def traffic(address: Address, makes: Sequence[Callable[[], Request]], rest_seconds: float = 0.02) -> Iterator[Traffic]:
    """One caller for each of ``makes``; all have had their last answer when the block is over."""
    running = Traffic([Caller(address, make, rest_seconds) for make in makes])
    try:
        for caller in running.callers:
            caller.thread.start()
        yield running
    finally:
        for caller in running.callers:
            caller.is_over.set()
        for caller in running.callers:
            caller.thread.join()
