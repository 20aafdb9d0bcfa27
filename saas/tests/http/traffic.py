"""Continuous traffic: clients that send requests over kept-alive connections, and record every unexpected answer."""

import secrets
import sys
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
    """Send requests from a thread of its own, ``rest_seconds`` apart, until ``is_over`` is set."""

    def __init__(self, address: Address, make: Callable[[], Request], rest_seconds: float) -> None:
        self.make, self.rest_seconds = make, rest_seconds
        self.link = HTTPConnection(*address, timeout=30)
        self.is_over = Event()
        self.sent_count = 0
        self.failures: list[str] = []
        self.accepted: set[str] = set()  # ids of events that were answered as expected
        self.thread = Thread(target=self._work)

    def _work(self) -> None:
        while not self.is_over.wait(self.rest_seconds):
            request = self.make()
            self.sent_count += 1
            if failure := self._send(request):
                self.failures.append(f"{request.service} {request.method} {request.path}: {failure}")
            elif request.delivers:
                self.accepted.add(request.delivers)
        self.link.close()

    def _send(self, request: Request) -> str:
        """Return what went wrong; empty if nothing did."""
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
    """Name a new client address in a network that hundreds of requests do not use: rate limits count both."""
    number = next(_CALLERS)
    address = f"198.{18 + number // 256 % 2}.{number % 256}.{number // 512 % 250 + 1}"
    return {"X-Forwarded-For": address, "X-Forwarded-Proto": "https"}


class Traffic:
    def __init__(self, callers: Sequence[Caller]) -> None:
        self.callers = callers

    @property
    def sent_count(self) -> int:
        return sum(caller.sent_count for caller in self.callers)

    @property
    def failures(self) -> list[str]:
        return [failure for caller in self.callers for failure in caller.failures]

    def lost_events(self, database_url: str) -> set[str]:
        """Return the ids of events that were accepted and are not stored."""
        with psycopg.connect(database_url) as connection:
            rows = connection.execute("SELECT external_id FROM webhook_events_webhookevent").fetchall()
        accepted = {event_id for caller in self.callers for event_id in caller.accepted}
        return accepted - {external_id for (external_id,) in rows}


@contextmanager
def traffic(address: Address, makes: Sequence[Callable[[], Request]], rest_seconds: float = 0.02) -> Iterator[Traffic]:
    """Run one caller for each of ``makes``; all have had their last answer when the block is over."""
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


def report(record_property: Callable[[str, object], None], name: str, figures: str) -> None:
    """Record a measured figure in the test report, and show it with ``-s``."""
    record_property(name, figures)
    sys.stderr.write(f"\n{name}: {figures}\n")
