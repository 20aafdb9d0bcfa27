"""Run the whole system by ``manage.py up``, on ports and data of its own."""

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
from django.conf import settings
from psycopg import sql

SERVICES = ("product", "admin_ops", "parity", "webhooks")
START_SECONDS = 60.0
STACK_MARKER = "SAAS_TEST_STACK"


class Stack:
    """``output`` grows while it runs; with ``environment``, another command uses the same system."""

    def __init__(self, var_dir: Path, database_url: str) -> None:
        self.port_base = free_ports(len(SERVICES))
        self.urls = {name: f"http://localhost:{self.port_base + index}" for index, name in enumerate(SERVICES)}
        self.marker = secrets.token_hex(8)
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
            "WORKER_NICE": "0",  # or tests side by side wait for each other
            "SAAS_ENV": "test",  # a developer's .env is not read
            "SAAS_VAR_DIR": str(var_dir),
            "DATABASE_URL": database_url,
            "PASSWORD_ITERATIONS": "100000",
            STACK_MARKER: self.marker,
        }
        self.output: list[str] = []
        self.text_when_ready = ""
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--port-base", str(self.port_base), "--noreload"],
            cwd=settings.BASE_DIR,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        Thread(target=lambda: self.output.extend(process.stdout or ()), daemon=True).start()
        return process

    @property
    def text(self) -> str:
        return "".join(self.output)

    def wait_until_ready(self) -> None:
        eventually(lambda: "READY" in self.text or self.process.poll() is not None, START_SECONDS)
        assert "READY" in self.text, self.text
        eventually(lambda: "Ctrl-C stops everything.\n\n" in self.text)
        self.text_when_ready = self.text

    def get(self, service: str, path: str, **options: object) -> httpx.Response:
        return self.request("GET", service, path, **options)

    def post(self, service: str, path: str, **options: object) -> httpx.Response:
        return self.request("POST", service, path, **options)

    def request(self, method: str, service: str, path: str, **options: object) -> httpx.Response:
        return httpx.request(method, self.urls[service] + path, timeout=30, trust_env=False, **options)  # type: ignore[arg-type]

    def manage(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run another management command on the same system."""
        addresses = {f"{name.upper()}_BASE_URL": url for name, url in self.urls.items()}
        return self.manage_without_urls(*arguments, **addresses, **environment)

    def manage_without_urls(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a command that is not told where the services are."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=settings.BASE_DIR,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def processes(self) -> list[int]:
        """Return the ids of all running processes of this stack, the runner's among them. Linux only."""
        mark = f"{STACK_MARKER}={self.marker}".encode()
        return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if mark in _environment_of(folder)]

    def kill(self) -> None:
        """Kill all of its processes."""
        self.process.kill()
        self.process.wait()
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        eventually(lambda: not self.processes())

    def signal(self, number: int) -> None:
        self.process.send_signal(number)


@contextmanager
def running_stack(var_dir: Path) -> Iterator[Stack]:
    """Yield a stack that is ready, and kill it afterwards."""
    with _temporary_database() as url:
        stack = Stack(var_dir, url)
        try:
            stack.wait_until_ready()
            yield stack
        finally:
            stack.kill()


@contextmanager
def _temporary_database() -> Iterator[str]:
    """Yield the URL of a new database where the tests run on PostgreSQL; else empty, for SQLite in the var folder."""
    if not settings.DATABASE_URL:
        yield ""
        return
    name = sql.Identifier(f"saas_stack_{secrets.token_hex(6)}")
    with psycopg.connect(settings.DATABASE_URL, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        try:
            yield urlunsplit(urlsplit(settings.DATABASE_URL)._replace(path="/" + name.as_string().strip('"')))
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def free_ports(count: int) -> int:
    """Return the first of ``count`` consecutive ports on which no process listens."""

    def is_free(port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) != 0

    for first in range(18_000 + secrets.randbelow(400) * 10, 32_000, 10):
        if all(is_free(first + index) for index in range(count)):
            return first
    raise RuntimeError("no free ports")


def eventually(is_true: Callable[[], object], seconds: float = 60.0) -> None:
    """Poll until ``is_true``, for at most ``seconds``: other processes need real time."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, f"not so within {seconds:.0f} s"
        time.sleep(0.1)


def seeded_password(email: str, output: str) -> str:
    """Return the password that the seed printed for ``email``."""
    found = re.search(rf"^\s*{re.escape(email)}\s+(\S+)", output, re.MULTILINE)
    assert found, output
    return found.group(1)


def _environment_of(folder: Path) -> bytes:
    try:
        return (folder / "environ").read_bytes()
    except OSError:
        return b""
