"""Run services, worker and beat as production does: granian and Celery, ``SAAS_ENV=production``, JSON log lines."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings
from django.core.management import call_command
from dotenv import dotenv_values

from saas.testing.servers.stack import eventually, free_ports

HOSTS = {
    "product": "api.example.com",
    "admin_ops": "ops.example.com",
    "parity": "parity.example.com",
    "webhooks": "hooks.example.com",
}
STRIPE_KEY = "sk_live_not_a_real_key"
STRIPE_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@cache
def _secrets() -> Mapping[str, str]:
    out = StringIO()
    call_command("generate_secrets", stdout=out)
    return {name: value or "" for name, value in dotenv_values(stream=StringIO(out.getvalue())).items()}


def production_environment(var_dir: Path, *, database: str, redis: str, **more: str) -> dict[str, str]:
    """Return all variables that production needs, and ``more``. The tests' own address is a trusted proxy."""
    return {
        "PATH": os.environ["PATH"],
        **_secrets(),
        "SAAS_ENV": "production",
        "WORKER_NICE": "0",  # or tests side by side wait for each other
        "SAAS_VAR_DIR": str(var_dir),
        "DATABASE_URL": database,
        "REDIS_URL": redis,
        "STRIPE_WEBHOOK_SECRET": STRIPE_SECRET,
        "STRIPE_SECRET_KEY": STRIPE_KEY,
        "EMAIL_URL": "smtp://127.0.0.1:1",  # no server: mails stay queued
        "DEFAULT_FROM_EMAIL": "SaaS <no-reply@example.com>",
        "ALLOWED_HOSTS": ",".join(HOSTS.values()),
        **{f"{name.upper()}_BASE_URL": f"https://{host}" for name, host in HOSTS.items()},
        "TRUSTED_PROXY_COUNT": "1",
        "TRUSTED_PROXY_CIDRS": "127.0.0.1/32",
        **more,
    }


def manage(environment: Mapping[str, str], *arguments: str, root: Path | None = None) -> str:
    """Run a management command; return its output. Fail unless it exits with 0."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=root or settings.BASE_DIR,
        env={**environment, "DJANGO_SETTINGS_MODULE": "saas.settings.product"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Process:
    """One of our processes. ``log`` is the file that it writes to."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path, root: Path | None = None) -> None:
        self.log = log
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                command,
                cwd=root or settings.BASE_DIR,
                env=dict(environment),
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal, and wait; return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=40)

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Server(Process):
    """A service run by ``manage.py serve``. Each call comes from a new client address, unless it names one."""

    def __init__(
        self, service: str, environment: Mapping[str, str], log: Path, root: Path | None = None, bind: str = ""
    ) -> None:
        self.service = service
        self.port = free_ports(1)
        self._calls = 0
        super().__init__(
            [sys.executable, "manage.py", "serve", service],
            {**environment, "BIND": bind or f"127.0.0.1:{self.port}"},
            log,
            root,
        )

    def wait_until_ready(self) -> None:
        eventually(lambda: self.is_ready() or self.process.poll() is not None, 60)
        assert self.process.poll() is None, self.text

    def is_ready(self) -> bool:
        try:
            return self.call("GET", "/health/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def call(
        self, method: str, path: str, body: Any = None, *, token: str = "", address: str = "", **options: Any
    ) -> httpx.Response:
        self._calls += 1
        headers = {
            "Host": HOSTS[self.service],
            "X-Forwarded-For": address or f"198.51.{self._calls // 250}.{self._calls % 250 + 1}",
            "X-Forwarded-Proto": "https",
            **({"Authorization": f"Bearer {token}"} if token else {}),
            **options.pop("headers", {}),
        }
        url = f"http://127.0.0.1:{self.port}{path}"
        return httpx.request(
            method, url, json=body, headers=headers, timeout=options.pop("timeout", 30), trust_env=False, **options
        )


def start_celery(command: str, environment: Mapping[str, str], log: Path) -> Process:
    """Start a Celery ``worker`` or ``beat``."""
    more = ["--concurrency=2", "--without-gossip", "--without-mingle"] if command == "worker" else []
    return Process([sys.executable, "-m", "celery", "-A", "saas", command, *more, "--loglevel=INFO"], environment, log)


@contextmanager
def killed_on_exit(*processes: Process) -> Iterator[None]:
    """Kill those that still run when the block ends."""
    try:
        yield
    finally:
        for process in processes:
            process.kill()
