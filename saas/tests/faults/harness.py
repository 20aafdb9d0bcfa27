"""Product as production runs it, on a PostgreSQL and a Redis of its own, with a relay before each that can be broken."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message

from saas.testing.servers.engines import PrivatePostgres, PrivateRedis, missing_engines
from saas.testing.servers.fault_proxy import FaultProxy, Mode
from saas.testing.servers.production import (
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
    """Keeps what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[EmailMessage] = []

    def handle_message(self, message: Any) -> None:
        self.received.append(message)

    def subjects(self, recipient: str) -> list[str]:
        return [str(message["Subject"]) for message in self.received if message["To"] == recipient]


@dataclass
class Harness:
    postgres: PrivatePostgres
    redis: PrivateRedis
    database: FaultProxy  # before PostgreSQL
    cache: FaultProxy  # before the Redis that counts and caches
    broker: FaultProxy  # before the same Redis, as broker, or before RabbitMQ
    mailbox: RecordingMailbox
    environment: dict[str, str]
    folder: Path
    product: Server
    background_processes: list[Process] = field(default_factory=list)
    customer_count: int = 0

    def restore(self) -> None:
        """Everything is there again, and the service has seen it."""
        for proxy in (self.database, self.cache, self.broker):
            proxy.mode = Mode.UP
        eventually(lambda: self.product.call("GET", "/api/auth/csrf").status_code == 200, 20)
        eventually(lambda: all(self._is_whole() for _ in range(8)), 40)  # whichever of its processes answers

    def _is_whole(self) -> bool:
        return self._state("database") == "ok" and self._state("cache") == "ok"

    def _state(self, dependency: str) -> str:
        return str(self.product.call("GET", "/health/ready").json()["dependencies"][dependency]["status"])

    def register(self) -> dict[str, Any]:
        """A new customer: what her client was told, her address and her cookie."""
        self.customer_count += 1
        email = f"kim{self.customer_count}@example.net"
        answer = self.product.call("POST", "/api/auth/register", {"email": email, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        return {**answer.json(), "email": email, "cookie": answer.cookies["__Host-saas_session"]}

    def log_in(self, email: str, password: str = PASSWORD, **options: Any) -> Any:
        return self.product.call("POST", "/api/auth/login", {"email": email, "password": password}, **options)

    def get_me(self, token: str) -> Any:
        return self.product.call("GET", "/api/auth/me", token=token)

    def start_background_processes(self) -> None:
        self.background_processes = [
            start_celery(name, self.environment, self.folder / f"{name}.log") for name in ("worker", "beat")
        ]
        eventually(lambda: self._state("worker") == "ok" and self._state("beat") == "ok", 60)


@contextmanager
def running_harness(folder: Path, rabbitmq: PrivateRabbitMQ | None = None) -> Iterator[Harness]:
    """``rabbitmq``: that is the broker, instead of Redis. Skips where the engines are not installed."""
    if missing := missing_engines():
        pytest.skip(missing)
    mailbox = RecordingMailbox()
    with ExitStack() as stack:
        postgres = stack.enter_context(PrivatePostgres(is_durable=False, max_connections=MAX_CONNECTIONS))
        redis = stack.enter_context(PrivateRedis())
        with postgres.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        ports = (postgres.port, redis.port, rabbitmq.port if rabbitmq else redis.port)
        database, limits, broker = (stack.enter_context(FaultProxy(port, delay_seconds=2)) for port in ports)
        mail_port = free_ports(1)
        smtp = Controller(mailbox, hostname="127.0.0.1", port=mail_port)
        smtp.start()
        stack.callback(smtp.stop)
        told = production_environment(
            folder,
            database=postgres.url(DATABASE, database.port),
            redis=f"redis://127.0.0.1:{limits.port}/0",
            BROKER_URL=rabbitmq.url(broker.port) if rabbitmq else f"redis://127.0.0.1:{broker.port}/1",
            EMAIL_URL=f"smtp://127.0.0.1:{mail_port}",
            DATABASE_POOL_SIZE="2",
            DRAIN_SECONDS="1",
        )
        manage({**told, "DATABASE_URL": postgres.url(DATABASE)}, "migrate", "-v0")
        manage({**told, "DATABASE_URL": postgres.url(DATABASE)}, "seed")
        product = Server("product", told, folder / "product.log")
        harness = Harness(postgres, redis, database, limits, broker, mailbox, told, folder, product)
        with killed_on_exit(product):
            product.wait_until_ready()
            try:
                yield harness
            finally:
                for process in harness.background_processes:
                    process.kill()
