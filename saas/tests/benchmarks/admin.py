"""Response times of the staff API over HTTP, with many users and events: lists, searches, statistics, logs, replay preview."""

import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from django.conf import settings

from saas.tests.benchmarks.admin_rows import EVENTS_A_PERSON
from saas.tests.benchmarks.environment import Environment, Server
from saas.tests.benchmarks.processes import HOST

REPETITIONS = 10  # of each request in each round
_EMAIL, _PASSWORD = "sam@example.net", "correct horse battery staple"
_ADMIN, _HOOKS = "admin_ops", "webhooks"

Timing = tuple[float, bool]  # milliseconds, and whether it was answered
RequestSpec = tuple[str, str, dict[str, Any] | None]  # service, path, body of a POST


@dataclass(frozen=True)
class ResponseTime:
    design: str
    people: int
    events: int
    median_ms: float
    slowest_ms: float
    refused: int  # by a 5xx: a statement that takes too long is cancelled


def run(
    environment: Environment, *, rounds: int, seconds: float, say: Callable[[str], None], size: int = 100_000
) -> list[ResponseTime]:
    if not environment.database_url:
        raise SystemExit("bench admin needs DATABASE_URL.")
    _fill(environment, size)
    say(f"{size} people and {size * EVENTS_A_PERSON} events are there")
    servers = {service: environment.serve_as_production(service, service) for service in (_ADMIN, _HOOKS)}
    timings: dict[str, list[Timing]] = defaultdict(list)
    for number in range(rounds):
        with httpx.Client(trust_env=False, timeout=60) as client:
            _log_in(client, servers[_ADMIN])
            for name, request in requests(size).items():
                _ask(client, servers, request)  # the first request plans, and fills caches
                timings[name] += [_ask(client, servers, request) for _ in range(REPETITIONS)]
        say(f"round {number + 1} of {rounds}")
    return [_wait(name, size, found) for name, found in timings.items()]


def requests(size: int) -> dict[str, RequestSpec]:
    """Return the requests by name, about a subscriber and about events in the middle of the log."""
    number, event = size // 20 + 5, size * EVENTS_A_PERSON // 2
    person, users, logs = f"usr_{number:026}", "/api/admin/users", "/api/webhooks/logs"
    return {
        "people: newest": (_ADMIN, users, None),
        "people: search, a part": (_ADMIN, f"{users}?search={number}@", None),
        "people: search, an id": (_ADMIN, f"{users}?search={person}", None),
        "people: search, the provider's id": (_ADMIN, f"{users}?search=cus_{number}", None),
        "people: on a plan": (_ADMIN, f"{users}?plan=growth", None),
        "person": (_ADMIN, f"{users}/{person}", None),
        "audit: newest": (_ADMIN, "/api/admin/audit", None),
        "audit: one person": (_ADMIN, f"/api/admin/audit?actor={person}", None),
        "metrics: people": (_ADMIN, "/api/admin/metrics/users", None),
        "metrics: revenue": (_ADMIN, "/api/admin/metrics/revenue", None),
        "metrics: webhooks": (_ADMIN, "/api/admin/metrics/webhooks", None),
        "log: newest": (_HOOKS, logs, None),
        "log: failed": (_HOOKS, f"{logs}?status=failed", None),
        "log: one type": (_HOOKS, f"{logs}?type=kind.of_77.updated", None),
        "log: search, a part of a type": (_HOOKS, f"{logs}?search=of_77.", None),
        "log: search, an id": (_HOOKS, f"{logs}?search=evt_{event}", None),
        "event": (_HOOKS, f"{logs}/evt_{event}", None),
        "stats": (_HOOKS, "/api/webhooks/stats", None),
        "replay preview: failed": (_HOOKS, "/api/webhooks/replay", {"dry_run": True, "status": "failed"}),
        "replay preview: types": (_HOOKS, "/api/webhooks/replay", {"dry_run": True, "type": "kind.*"}),
    }


def _fill(environment: Environment, size: int) -> None:
    subprocess.run(
        [sys.executable, "-m", "saas.tests.benchmarks.admin_rows", str(size), _EMAIL, _PASSWORD],
        cwd=settings.BASE_DIR,
        env={**os.environ, "SAAS_ENV": "test", **environment.variables},
        check=True,
    )


def _log_in(client: httpx.Client, admin: Server) -> None:
    """Log in for each round, because a staff token is valid for minutes."""
    url = f"http://{HOST}:{admin.port}/api/admin/auth/login"
    answer = client.post(url, json={"email": _EMAIL, "password": _PASSWORD}).raise_for_status()
    client.cookies.clear()  # by token alone, or a POST would need a CSRF token
    client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


def _ask(client: httpx.Client, servers: Mapping[str, Server], request: RequestSpec) -> Timing:
    """Send a request; return its timing up to the end of the body. A 4xx, an error of the benchmark, ends it."""
    service, path, body = request
    started = time.perf_counter()
    answer = client.request("POST" if body else "GET", f"http://{HOST}:{servers[service].port}{path}", json=body)
    took = (time.perf_counter() - started) * 1000
    if not answer.is_server_error:
        answer.raise_for_status()
    return took, answer.is_success


def _wait(name: str, size: int, found: list[Timing]) -> ResponseTime:
    times = [took for took, _ in found]
    refused = sum(not is_answered for _, is_answered in found)
    return ResponseTime(
        name, size, size * EVENTS_A_PERSON, round(statistics.median(times), 2), round(max(times), 2), refused
    )
