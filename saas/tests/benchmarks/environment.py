"""Where a benchmark plays: a database of its own, a folder, and processes. All of it is gone afterwards."""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from celery import Celery
from django.conf import settings
from psycopg import sql

from saas.testing.servers.stack import free_ports
from saas.tests.benchmarks.deliveries import SECRET
from saas.tests.benchmarks.processes import HOST, Process, cpu_seconds, postmaster

QUEUES = ("bench", "naive")  # of our processes and of the baseline's
THREADS = 8  # of every threaded server, and connections of every pool
_EFFECTS = "CREATE TABLE bench_effect (event text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp())"


@dataclass
class Server:
    name: str
    port: int
    process: Process


@dataclass
class Environment:
    database_url: str  # empty: SQLite
    folder: Path
    servers: list[Server] = field(default_factory=list)
    workers: list[Process] = field(default_factory=list)

    @property
    def engine(self) -> str:
        return "PostgreSQL" if self.database_url else "SQLite"

    @property
    def variables(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": settings.REDIS_URL,
            "SAAS_VAR_DIR": str(self.folder / "var"),
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "RATE_LIMIT_SCALE": "1000000",
            "LOG_LEVEL": "WARNING",
        }

    def serve(self, name: str, command: Sequence[str], *, python: str = sys.executable, **environment: str) -> Server:
        """Start a server; ``{port}`` in command and environment is its port. ``python`` may be another environment's."""
        port = free_ports(1)
        filled = [part.replace("{port}", str(port)) for part in command]
        log = self.folder / f"{name.replace(' ', '-')}.log"
        variables = {key: value.replace("{port}", str(port)) for key, value in environment.items()}
        process = Process(filled, {**self.variables, **variables}, log, python)
        self.servers.append(Server(name, port, process))
        process.wait_for_port(port)
        return self.servers[-1]

    def serve_ours(self, name: str, service: str, settings_module: str, **environment: str) -> Server:
        """A service on the server that production uses, in one process and with as many threads as the others here."""
        command = ["manage.py", "serve", service, "--workers", "1", "--settings", settings_module]
        place = {"BIND": f"{HOST}:{{port}}", "DRAIN_SECONDS": "0", "WEB_THREADS": str(THREADS)}
        return self.serve(name, command, **place, **environment)

    def serve_as_production(self, name: str, service: str, **environment: str) -> Server:
        """As the image does, with its number of processes and threads."""
        place = {"BIND": f"{HOST}:{{port}}", "DRAIN_SECONDS": "0", "TMPDIR": str(self.folder)}
        return self.serve(name, ["manage.py", "serve", service], **place, **environment)

    def start_worker(self, name: str, command: Sequence[str], ready: str, **environment: str) -> Process:
        """Start a worker; it is ready when its output says so."""
        process = Process(command, {**self.variables, **environment}, self.folder / f"{name}.log")
        self.workers.append(process)
        process.wait_for_text(ready)
        return process

    def run_django_admin(self, settings_module: str, *arguments: str) -> None:
        """A management command in this environment."""
        subprocess.run(
            [sys.executable, "-m", "django", *arguments, f"--settings={settings_module}"],
            cwd=settings.BASE_DIR,
            env={**os.environ, "SAAS_ENV": "test", **self.variables},
            stdout=subprocess.DEVNULL,
            check=True,
        )

    def database_cpu_seconds(self) -> float:
        """Of PostgreSQL, if it runs on this machine: our connections that live, and the postmaster's with all that ended.

        A connection that closes takes its process along, whose time is then only in the postmaster's. That also holds what
        others' connections and autovacuum used: so measure on a server that has nothing else to do.
        """
        if not self.database_url:
            return 0.0
        with psycopg.connect(self.database_url) as connection:
            rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database()").fetchall()
        server = postmaster(rows[0][0])
        return sum(cpu_seconds(pid) for pid in (server, *(pid for (pid,) in rows))) if server else 0.0

    def close(self) -> None:
        for process in [*self.workers, *(server.process for server in self.servers)]:
            process.stop()
        if settings.REDIS_URL:
            _purge()


@contextmanager
def running_environment() -> Iterator[Environment]:
    """On the engines that DATABASE_URL and REDIS_URL name, else on the embedded ones."""
    with tempfile.TemporaryDirectory(prefix="saas-bench-") as folder, _database() as url:
        made = Environment(url, Path(folder))
        try:
            made.run_django_admin("saas.settings.webhooks", "migrate", "-v0")
            _make_tables(made)
            yield made
        finally:
            made.close()


def _purge() -> None:
    """What was rung and sent must not reach the next benchmark's workers, which have other rows."""
    with Celery(broker=settings.REDIS_URL).connection_for_write() as broker:
        for queue in QUEUES:
            broker.default_channel.queue_purge(queue)


def _make_tables(made: Environment) -> None:
    if made.database_url:
        with psycopg.connect(made.database_url, autocommit=True) as connection:
            connection.execute(_EFFECTS)


@contextmanager
def _database() -> Iterator[str]:
    if not settings.DATABASE_URL:
        yield ""
        return
    name = f"saas_bench_{secrets.token_hex(6)}"
    with psycopg.connect(settings.DATABASE_URL, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlunsplit(urlsplit(settings.DATABASE_URL)._replace(path=f"/{name}"))
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def granian(application: str) -> list[str]:
    """A threaded WSGI server in Rust, for every WSGI application here."""
    return [
        "-m", "granian", "--interface", "wsgi", "--host", HOST, "--port", "{port}", "--workers", "1",
        "--blocking-threads", str(THREADS), "--no-ws", "--log-level", "warning", application,
    ]  # fmt: skip


def uvicorn(application: str) -> list[str]:
    return [
        "-m", "uvicorn", application, "--host", HOST, "--port", "{port}", "--lifespan", "off",
        "--no-access-log", "--log-level", "warning",
    ]  # fmt: skip
