"""Run Product as production does, on a private PostgreSQL and Redis, each behind a proxy that injects faults."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any, LiteralString

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message

from saas.testing.factories.event_factories import event, json_bytes, signature_headers
from saas.testing.servers.engines import PrivatePostgres, PrivateRedis, missing_engines
from saas.testing.servers.fault_proxy import FaultProxy, Mode
from saas.testing.servers.production import (
    STRIPE_SECRET,
    Process,
    Server,
    killed_on_exit,
    manage,
    production_environment,
    start_celery,
)
from saas.testing.servers.rabbitmq import PrivateRabbitMQ
from saas.testing.servers.stack import eventually, free_ports

DATABASE = "saas"
MAX_CONNECTIONS = 40
PASSWORD = "correct horse battery staple"


class RecordingMailbox(Message):
    """An SMTP handler that keeps every mail."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[EmailMessage] = []

    def handle_message(self, message: Any) -> None:
        self.received.append(message)

    def subjects(self, recipient: str) -> list[str]:
        return [str(message["Subject"]) for message in self.received if message["To"] == recipient]


@dataclass
class Harness:
    """``database``, ``cache`` and ``broker`` are the proxies before PostgreSQL, Redis, and the broker: Redis or RabbitMQ."""

    postgres: PrivatePostgres
    redis: PrivateRedis
    database: FaultProxy
    cache: FaultProxy
    broker: FaultProxy
    mailbox: RecordingMailbox
    environment: dict[str, str]
    folder: Path
    product: Server
    background_processes: list[Process] = field(default_factory=list)
    customer_count: int = 0

    def restore(self) -> None:
        """End all faults of the proxies and wait until every process of the service has noticed."""
        for proxy in (self.database, self.cache, self.broker):
            proxy.mode = Mode.UP
        eventually(lambda: self.product.call("GET", "/api/auth/csrf").status_code == 200, 20)
        eventually(lambda: all(self._are_ok("database", "cache") for _ in range(8)), 40)  # any of its processes answers

    def _are_ok(self, *dependencies: str) -> bool:
        return {self.dependency_status(name) for name in dependencies} == {"ok"}

    def dependency_status(self, name: str) -> str:
        """Return what ``/health/ready`` says of the dependency."""
        return str(self.product.call("GET", "/health/ready").json()["dependencies"][name]["status"])

    def register(self) -> dict[str, Any]:
        """Register a new customer; return the API's answer with the added keys ``email`` and ``cookie``."""
        self.customer_count += 1
        email = f"customer{self.customer_count}@example.net"
        answer = self.product.call("POST", "/api/auth/register", {"email": email, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        return {**answer.json(), "email": email, "cookie": answer.cookies["__Host-saas_session"]}

    def log_in(self, email: str, password: str = PASSWORD, **options: Any) -> Any:
        return self.product.call("POST", "/api/auth/login", {"email": email, "password": password}, **options)

    def get_me(self, token: str) -> Any:
        return self.product.call("GET", "/api/auth/me", token=token)

    def put_profile(self, customer: dict[str, Any], biography: str = "x") -> Any:
        return self.product.call("PUT", "/api/users/profile", {"biography": biography}, token=customer["access_token"])

    def fetch_value(self, query: LiteralString) -> Any:
        """Return the one value that ``query`` finds in the service's database."""
        return self.postgres.fetch_value(DATABASE, query)

    def waits_for_a_lock(self) -> bool:
        return bool(self.fetch_value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))

    def start_background_processes(self) -> None:
        self.background_processes = [
            start_celery(name, self.environment, self.folder / f"{name}.log") for name in ("worker", "beat")
        ]
        eventually(lambda: self._are_ok("worker", "beat"), 60)


def post_event(server: Server, event_id: str, type: str = "demo.created", *, query: str = "", **fields: Any) -> Any:
    """Post a signed live event to a webhooks service; a ``query`` makes Django's view take it instead of the short path."""
    body = json_bytes(event(event_id, type, livemode=True, **fields))
    headers = {"Content-Type": "application/json", **signature_headers(body, secret=STRIPE_SECRET)}
    return server.call("POST", f"/api/webhooks/stripe{query}", content=body, headers=headers, timeout=30)


def assert_retry_later(answer: Any) -> None:
    """Fail unless ``answer`` is a 503 problem with ``Retry-After`` that reveals no internals."""
    assert answer.status_code == 503, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert int(answer.headers["Retry-After"]) >= 1
    assert set(answer.json()) == {"type", "title", "status", "detail", "code", "request_id"}
    assert not any(word in answer.text.lower() for word in ("traceback", "psycopg", "redis", "select ", "127.0.0.1"))


@contextmanager
def running_harness(folder: Path, rabbitmq: PrivateRabbitMQ | None = None) -> Iterator[Harness]:
    """Yield a started service. ``rabbitmq`` replaces Redis as the broker. Skip where the engines are not installed."""
    if missing := missing_engines():
        pytest.skip(missing)
    mailbox = RecordingMailbox()
    with ExitStack() as stack:
        postgres = stack.enter_context(PrivatePostgres(is_durable=False, max_connections=MAX_CONNECTIONS))
        redis = stack.enter_context(PrivateRedis())
        with postgres.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        ports = (postgres.port, redis.port, rabbitmq.port if rabbitmq else redis.port)
        database, cache, broker = (stack.enter_context(FaultProxy(port, delay_seconds=2)) for port in ports)
        mail_port = free_ports(1)
        smtp = Controller(mailbox, hostname="127.0.0.1", port=mail_port)
        smtp.start()
        stack.callback(smtp.stop)
        environment = production_environment(
            folder,
            database=postgres.url(DATABASE, database.port),
            redis=f"redis://127.0.0.1:{cache.port}/0",
            BROKER_URL=rabbitmq.url(broker.port) if rabbitmq else f"redis://127.0.0.1:{broker.port}/1",
            EMAIL_URL=f"smtp://127.0.0.1:{mail_port}",
            DATABASE_POOL_SIZE="2",
            DRAIN_SECONDS="1",
        )
        owner = {**environment, "DATABASE_URL": postgres.url(DATABASE)}
        manage(owner, "migrate", "-v0")
        manage(owner, "seed")
        product = Server("product", environment, folder / "product.log")
        harness = Harness(postgres, redis, database, cache, broker, mailbox, environment, folder, product)
        with killed_on_exit(product):
            product.wait_until_ready()
            try:
                yield harness
            finally:
                for process in harness.background_processes:
                    process.kill()
