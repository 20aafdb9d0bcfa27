"""Run the four services as production does, each a process on a free port, with the proxy before them."""

import gzip
import json
import secrets
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.conf import settings
from django.db import connection, connections
from psycopg import sql

from saas.testing.servers.engines import PrivateRedis
from saas.testing.servers.in_thread import served_in_thread
from saas.testing.servers.production import HOSTS, STRIPE_SECRET, Process, killed_on_exit, production_environment
from saas.testing.servers.stack import SERVICES, eventually, free_ports
from saas.tests.http.proxy import Proxy, debian_caddy, pinned_caddy
from saas.tests.http.raw_client import Address, Exchange, exchange
from saas.webhook_events.signatures import sign

FAULTS = ("traceback (most recent call last)", '"level": "error"', '"level": "critical"', "panicked at", "[error]")


def start_command(service: str) -> list[str]:
    """Return the command that starts a service in production; ``BIND`` and ``WEB_CONCURRENCY`` configure it."""
    return [sys.executable, "manage.py", "serve", service]


class Service(Process):
    """``command`` replaces ``start_command``'s."""

    def __init__(
        self,
        name: str,
        environment: Mapping[str, str],
        folder: Path,
        *,
        port: int,
        workers: int = 1,
        command: Sequence[str] = (),
    ) -> None:
        self.name, self.host, self.port = name, HOSTS[name], port
        self.seen = 0
        more = {"BIND": f"127.0.0.1:{self.port}", "WEB_CONCURRENCY": str(workers)}
        super().__init__(
            [*(command or start_command(name))], {**environment, **more}, folder / f"{name}-{self.port}.log"
        )

    @property
    def address(self) -> Address:
        return "127.0.0.1", self.port

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.text
        try:
            return exchange(self.address, get(self.host, "/health/ready"), pause_seconds=0).statuses == (200,)
        except OSError:
            return False

    def faults(self) -> list[str]:
        """Return the lines about errors of ours that were logged since the last call."""
        new, self.seen = self.text[self.seen :], len(self.text)
        return [line for line in new.splitlines() if any(fault in line.lower() for fault in FAULTS)]


@dataclass(frozen=True)
class Target:
    """Where a case is sent: a service itself, or the proxy with that service behind it."""

    service: str
    address: Address
    is_proxied: bool = False

    @property
    def host(self) -> str:
        return HOSTS[self.service]

    @property
    def post_path(self) -> str:
        return POST_PATHS[self.service]

    @property
    def accepted(self) -> int:
        """The status of the answer to ``post_body``, once it was read as a whole."""
        return 202 if self.service == "webhooks" else 422

    def described(self, outcome: Exchange) -> str:
        """Return the outcome in the same words for every service: ``ok`` for the ``accepted`` status."""
        return " ".join("ok" if word == str(self.accepted) else word for word in outcome.text.split())

    def post_body(self) -> bytes:
        if self.service == "webhooks":
            return json.dumps({"id": f"evt_{secrets.token_hex(8)}", "object": "event", "type": "demo.created"}).encode()
        return b"{}"

    def post_headers(self, body: bytes) -> list[str]:
        signature = sign(body, secret=STRIPE_SECRET, at=int(time.time()))
        return [
            "Content-Type: application/json",
            *([f"Stripe-Signature: {signature}"] if self.service == "webhooks" else []),
        ]


POST_PATHS = {
    "product": "/api/auth/login",
    "admin_ops": "/api/admin/auth/login",
    "parity": "/auth/login",
    "webhooks": "/api/webhooks/stripe",
}


def get(host: str, path: str = "/health", *headers: str) -> bytes:
    """Return a whole GET request, after whose answer the server closes."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class ErrorSink(ThreadingHTTPServer):
    """A stand-in for Sentry: ``reports`` counts the errors that services report."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Counting)
        self.reports = 0

    @property
    def dsn(self) -> str:
        return f"http://key@127.0.0.1:{self.server_port}/1"


class _Counting(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        envelope = gzip.decompress(sent) if self.headers["Content-Encoding"] == "gzip" else sent
        if b'"type":"event"' in envelope:  # other envelopes count sessions
            self.server.reports += 1  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class Edge:
    """The services, each started at its first use, and the proxies before them. ``environment`` is the services'."""

    def __init__(self, environment: dict[str, str], errors: ErrorSink, folder: Path, stack: ExitStack) -> None:
        self.environment, self.errors, self.folder, self._stack = environment, errors, folder, stack
        first = free_ports(len(SERVICES))  # below the ephemeral ports that clients' connections use
        self._ports = {name: first + index for index, name in enumerate(SERVICES)}
        self._services: dict[str, Service] = {}
        self._proxies: dict[str, Proxy] = {}

    def service(self, name: str) -> Service:
        if name not in self._services:
            self._services[name] = self.start_service(name, self._ports[name])
        return self._services[name]

    def start_service(self, name: str, port: int = 0) -> Service:
        """Start one more process of a service, and wait until it is ready."""
        service = Service(name, self.environment, self.folder, port=port or self.free_ports())
        self._stack.enter_context(killed_on_exit(service))
        eventually(service.is_ready, 60)
        return service

    def proxy(self, way: str = "proxied") -> Proxy:
        if way not in self._proxies:
            self._proxies[way] = self.start_proxy(program=pinned_caddy() if way == "pinned" else debian_caddy())
        return self._proxies[way]

    def start_proxy(self, *, program: str | None = None, file: Path | None = None, **ports: int) -> Proxy:
        program = debian_caddy() if program is None else program
        if not program:
            pytest.skip("needs caddy: apt-get install caddy, and pip install -r .ci/requirements.txt")
        home = self.folder / f"caddy-{secrets.token_hex(4)}"
        proxy = Proxy({**self._ports, **ports}, home, program, port=self.free_ports(), file=file)
        self._stack.enter_context(killed_on_exit(proxy))
        return proxy

    def free_ports(self, count: int = 1) -> int:
        """Return the first of ``count`` consecutive free ports, none reserved for a service that has not started yet."""
        kept = set(self._ports.values())
        while kept.intersection(range(first := free_ports(count), first + count)):
            pass
        return first

    def target(self, service: str, way: str = "direct") -> Target:
        """``way``: ``direct``, ``proxied`` by Debian's Caddy, or by the version that is ``pinned``."""
        own = self.service(service)
        if way == "direct":
            return Target(service, own.address)
        proxy = self.proxy(way)
        proxy.wait_until_ready(own.host)
        return Target(service, proxy.address, is_proxied=True)

    def faults(self) -> dict[str, list[str]]:
        """Return the services' lines about errors of ours since the last call, by service."""
        return {name: faults for name, service in self._services.items() if (faults := service.faults())}


@contextmanager
def running_edge(folder: Path) -> Iterator[Edge]:
    """Yield the services on a private database and Redis."""
    if not (settings.DATABASE_URL and shutil.which("redis-server")):
        pytest.skip("needs PostgreSQL and Redis: set DATABASE_URL, and apt-get install redis-server")
    with ExitStack() as stack:
        redis = stack.enter_context(PrivateRedis())  # without rate limits used by others
        database = stack.enter_context(_copied_database())
        errors = stack.enter_context(served_in_thread(ErrorSink()))
        more = {
            "SENTRY_DSN": errors.dsn,
            "TRUSTED_PROXY_CIDRS": "127.0.0.0/24",  # not 127.100.0.0, where the tests' clients are
            "DRAIN_SECONDS": "0",
            "WEB_THREADS": "16",
            "DATABASE_POOL_SIZE": "4",
        }
        yield Edge(production_environment(folder, database=database, redis=redis.url, **more), errors, folder, stack)


@contextmanager
def _copied_database() -> Iterator[str]:
    """Yield the URL of a copy of the tests' own, migrated database."""
    source, name = connection.settings_dict["NAME"], f"saas_http_{secrets.token_hex(6)}"
    connections.close_all()
    with psycopg.connect(settings.DATABASE_URL, autocommit=True) as admin:
        # A pool keeps connections of this process open, and a database in use cannot be copied.
        admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [source])
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(source)))
        try:
            yield urlunsplit(urlsplit(settings.DATABASE_URL)._replace(path=f"/{name}"))
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
