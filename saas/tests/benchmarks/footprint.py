"""What the processes weigh, and how long they take to start: the system as ``manage.py up`` runs it."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from saas.testing.servers.stack import SERVICES, running_stack
from saas.tests.benchmarks.environment import Environment
from saas.tests.benchmarks.processes import proportional_mb, resident_mb

_PROGRAMS = ("worker", "beat")


@dataclass(frozen=True)
class Memory:
    design: str
    proportional_mb: float  # what is shared counts once
    resident_mb: float


@dataclass(frozen=True)
class StartUp:
    design: str
    seconds: float  # the best of the rounds: from the command to the loaded URL configuration
    modules: int


def memory(environment: Environment, *, rounds: int, seconds: float, say: Callable[[str], None]) -> list[Memory]:
    """After a moment's work. The supervisor is not counted: production has another."""
    with tempfile.TemporaryDirectory() as folder, running_stack(Path(folder)) as stack:
        for service in SERVICES:
            stack.get(service, "/health/ready")
        time.sleep(seconds)
        found: dict[str, list[int]] = {}
        for pid in stack.processes():
            if name := _program(pid):
                found.setdefault(name, []).append(pid)
        rows = [_weight(name, pids) for name, pids in sorted(found.items())]
        return [*rows, _weight("all", [pid for pids in found.values() for pid in pids])]


def startup(environment: Environment, *, rounds: int, seconds: float, say: Callable[[str], None]) -> list[StartUp]:
    return [_started(service, rounds) for service in SERVICES]


def _weight(name: str, pids: list[int]) -> Memory:
    return Memory(name, round(sum(map(proportional_mb, pids)), 1), round(sum(map(resident_mb, pids)), 1))


def _program(pid: int) -> str:
    """Which of the six this process is; empty for the supervisor and what is none of them."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        environment = Path(f"/proc/{pid}/environ").read_text()
    except OSError:
        return ""
    if "celery" in command:
        return next((name for name in _PROGRAMS if name in command), "")
    if "up" in command:
        return ""
    return environment.partition("DJANGO_SETTINGS_MODULE=saas.settings.")[2].partition("\0")[0]


def _started(service: str, rounds: int) -> StartUp:
    code = (
        "import django, sys; django.setup(); from importlib import import_module;"
        "from django.conf import settings; import_module(settings.ROOT_URLCONF); print(len(sys.modules))"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": f"saas.settings.{service}"}
    best, modules = float("inf"), 0
    for _ in range(rounds):
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=settings.BASE_DIR, env=environment, capture_output=True, check=True
        )
        best, modules = min(best, time.monotonic() - began), int(done.stdout)
    return StartUp(service, round(best, 2), modules)
