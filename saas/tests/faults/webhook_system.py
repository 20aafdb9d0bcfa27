"""Real server and worker processes on a private PostgreSQL and Redis, and what a test may do to them."""

import json
import os
import secrets
import select
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg

from saas.testing.factories.event_factories import json_bytes, signature_headers
from saas.testing.servers.engines import PrivatePostgres, PrivateRedis, free_port
from saas.testing.servers.stack import eventually

ROOT = Path(__file__).resolve().parents[3]
IS_LONG = os.environ.get("SAAS_FAULTS") == "long"
DATABASE, TEMPLATE = "saas_faults", "saas_faults_template"
PATIENCE_SECONDS = 1200.0 if IS_LONG else 90.0
_WAITING = (
    "SELECT count(*) FROM webhook_events_webhookevent WHERE status IN ('queued', 'retry_scheduled', 'replay_queued')"
)


def short_or_long(short: int, long: int) -> int:
    """Return ``short`` in the short form, which CI runs, or ``long`` in the long one."""
    return long if IS_LONG else short


class WebhookSystem:
    """Nothing runs until it is started. ``fault`` names an entry of ``fault_injection``."""

    def __init__(self, postgres: PrivatePostgres, redis: PrivateRedis, folder: Path) -> None:
        self.postgres, self.redis, self.folder = postgres, redis, folder
        self.log = (folder / "log").open("ab")
        self.fork_server: subprocess.Popen[str] | None = None
        self.command_lock = threading.Lock()
        self.port = 0

    # ── Processes ────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if name != "SAAS_VAR_DIR"},
            "DATABASE_URL": self.postgres.url(DATABASE),
            "REDIS_URL": self.redis.url,
            "DJANGO_SETTINGS_MODULE": "saas.tests.faults.settings",
            "SAAS_ENV": "test",
            "WORKER_NICE": "0",  # or tests side by side wait for each other
            "SAAS_VAR_DIR": str(self.folder / "var"),
            "SAAS_FAULTS_LOG_FD": str(self.log.fileno()),
            "LOG_LEVEL": "ERROR",
        }

    def open(self) -> None:
        self.fork_server = subprocess.Popen(
            [sys.executable, "-m", "saas.tests.faults.fork_server"],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            pass_fds=[self.log.fileno()],
            text=True,
            start_new_session=True,
        )
        self._read_reply()

    def close(self) -> None:
        if self.fork_server:
            with suppress(ProcessLookupError):
                os.killpg(self.fork_server.pid, signal.SIGKILL)
            self.fork_server.wait()
            self.fork_server = None

    def _send_command(self, **command: Any) -> Any:
        assert self.fork_server
        assert self.fork_server.stdin
        with self.command_lock:
            self.fork_server.stdin.write(json.dumps(command) + "\n")
            self.fork_server.stdin.flush()
            return self._read_reply()

    def _read_reply(self) -> Any:
        assert self.fork_server
        assert self.fork_server.stdout
        assert select.select([self.fork_server.stdout], [], [], 60)[0], "the fork server does not answer"
        line = self.fork_server.stdout.readline()
        assert line, (self.folder / "log").read_text()[-3000:]
        return json.loads(line)

    def start_processes(self, role: str, count: int = 1, *, fault: str = "", **arguments: Any) -> list[int]:
        """Start processes that are replaced when they die."""
        return [self._send_command(run=role, fault=fault, arguments=arguments, keep=True) for _ in range(count)]

    def pids(self, role: str) -> list[int]:
        return list(self._send_command(list=role))

    def kill_processes(self, role: str) -> None:
        """Kill the processes of a role, and replace them no more."""
        self._send_command(forget=role)
        self.signal(signal.SIGKILL, self.pids(role))
        eventually(lambda: not self.pids(role))

    def signal(self, number: int, pids: Iterable[int]) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill_workers_until(
        self, is_over: Callable[[], object], *, every_seconds: float = 0.3, rounds: int = 10_000
    ) -> int:
        """``kill -9`` one worker after the other; return how many."""
        for turn in range(rounds):
            time.sleep(every_seconds)
            if is_over():
                return turn
            if workers := self.pids("worker"):
                self.signal(signal.SIGKILL, [workers[turn % len(workers)]])
        return rounds

    def call(self, function: str, **arguments: Any) -> Any:
        """Run a function of ``process_roles`` in a process of its own; return its result."""
        path = self.folder / f"answer-{secrets.token_hex(6)}"
        self._send_command(
            run="call_function", arguments={"function": function, "arguments": arguments, "path": str(path)}
        )
        eventually(path.exists, PATIENCE_SECONDS)
        outcome = json.loads(path.read_text())
        path.unlink()
        assert "error" not in outcome, outcome["error"]
        return outcome["result"]

    @property
    def text(self) -> str:
        """What the processes have logged."""
        return (self.folder / "log").read_text(errors="replace")

    def report_figure(self, text: str) -> None:
        """Show a measured figure with ``-s``, for ``saas/docs/reliability.md``."""
        sys.stderr.write(f"\n{text}\n")

    # ── Queries ────────────────────────────────────────────────────────────────────────────────────────────────

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.postgres.url(DATABASE), connect_timeout=5, autocommit=True) as connection:
            cursor = connection.execute(query, values)  # type: ignore[arg-type]  # literals, all of them
            return cursor.fetchall() if cursor.description else []

    def effects(self) -> Counter[str]:
        return Counter(event for (event,) in self.sql("SELECT event FROM fault_effect"))

    def repeated_effects(self) -> list[str]:
        return sorted(event for event, times in self.effects().items() if times > 1)

    def statuses(self) -> dict[str, int]:
        return dict(self.sql("SELECT status, count(*)::int FROM webhook_events_webhookevent GROUP BY status"))

    def outcomes(self) -> dict[str, int]:
        return dict(self.sql("SELECT outcome, count(*)::int FROM webhook_events_webhookattempt GROUP BY outcome"))

    def is_drained(self) -> bool:
        """Whether no event waits; False while the database is away."""
        try:
            return self.sql(_WAITING) == [(0,)]
        except psycopg.Error:
            return False

    def wait_until_drained(self) -> None:
        self.wait_until(self.is_drained)

    def wait_until(self, is_true: Callable[[], object]) -> None:
        eventually(is_true, PATIENCE_SECONDS)

    # ── The intake ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self, *, fault: str = "") -> int:
        """Start a webhooks service, and wait until it answers; return the process id of its worker."""
        self.port = free_port()
        (pid,) = self.start_processes("server", fault=fault, port=self.port)
        eventually(lambda: self.answers("/health"), 30)
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else pid

    def answers(self, path: str) -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(self.url + path, timeout=5, trust_env=False).status_code == 200
        return False

    def post(self, payloads: Sequence[dict[str, Any]], *, senders: int = 8) -> list[int]:
        """Post signed deliveries; return their statuses in order, 0 for no answer."""
        with (
            httpx.Client(base_url=self.url, timeout=30, trust_env=False) as client,
            ThreadPoolExecutor(senders) as pool,
        ):

            def deliver(payload: dict[str, Any]) -> int:
                body = json_bytes(payload)
                try:
                    return client.post(
                        "/api/webhooks/stripe", content=body, headers=signature_headers(body)
                    ).status_code
                except httpx.HTTPError:
                    return 0

            return list(pool.map(deliver, payloads))


@contextmanager
def running_webhook_system(postgres: PrivatePostgres, redis: PrivateRedis, folder: Path) -> Iterator[WebhookSystem]:
    """Yield a system with an empty database."""
    redis.start()
    redis.client.flushall()
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")  # type: ignore[arg-type]
        connection.execute(f"CREATE DATABASE {DATABASE} TEMPLATE {TEMPLATE}")  # type: ignore[arg-type]
    system = WebhookSystem(postgres, redis, folder)
    system.open()
    try:
        yield system
    finally:
        system.close()
        system.log.close()
