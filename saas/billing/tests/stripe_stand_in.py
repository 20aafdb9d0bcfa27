"""A Stripe on the loopback interface: answers what a test tells it to, and remembers what it was asked."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.urls import get_resolver

from saas.testing.servers.in_thread import served_in_thread


@dataclass
class Asked:
    method: str
    path: str
    fields: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class StandIn:
    """``answers`` maps ``"POST /v1/customers"`` to a body, or to a list of ``(status, body)`` given one after another."""

    answers: dict[str, Any]
    asked: list[Asked] = field(default_factory=list)
    lock: Any = field(default_factory=Lock)
    url: str = ""

    def answer(self, asked: Asked) -> tuple[int, Any]:
        with self.lock:
            self.asked.append(asked)
            found = self.answers.get(f"{asked.method} {asked.path}")
            if isinstance(found, list):
                return found.pop(0) if len(found) > 1 else found[0]
        if found is None:
            return 404, {
                "error": {"type": "invalid_request_error", "code": "resource_missing", "message": "No such object."}
            }
        return 200, found


def bill_through_stripe(settings: Any, api_base: str = "", key: str = "sk_test_stand_in") -> None:
    """Choose Stripe as ``saas.settings.payments`` does where there is a key. Routes stay those of the local provider."""
    assert get_resolver("product.urls").url_patterns  # read once in a process, so before the settings change
    settings.BILLING_GATEWAY = "saas.billing.providers.stripe.gateway.StripeGateway"
    settings.USES_LOCAL_PROVIDER = False
    settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE = key, api_base


@contextmanager
def stand_in(answers: dict[str, Any], kind: type[Any] = StandIn) -> Iterator[Any]:
    here = kind(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            url = urlsplit(self.path)
            came = self.rfile.read(length)
            sent = dict(parse_qsl(came.decode() or url.query, keep_blank_values=True))
            status, body = here.answer(Asked(self.command, url.path, sent, dict(self.headers), came))
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.send_header("Request-Id", "req_stand_in")
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_DELETE = handle_one

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here.url = f"http://127.0.0.1:{server.server_port}"
    with served_in_thread(server):
        yield here
