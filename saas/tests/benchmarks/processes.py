"""Servers and workers as processes of their own: started, measured, ended."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings

HOST = "127.0.0.1"
START_SECONDS = 60.0
STOP_SECONDS = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Process:
    """A command that runs. Its output goes to a file, to be read if it does not do what it should."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], log: Path, python: str = sys.executable
    ) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [python, *command],
                cwd=settings.BASE_DIR,
                env={**os.environ, "SAAS_ENV": "test", **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_for_port(self, port: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not _listens(port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.log.name} did not start:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.05)

    def wait_for_text(self, text: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while text not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.log.name} did not start:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, 15)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, 9)
            self.process.wait()

    def cpu_seconds(self) -> float:
        """Of the process and what it has started."""
        return sum(cpu_seconds(pid) for pid in family(self.process.pid))

    def memory_mb(self) -> float:
        """Resident, what is shared among them counted once."""
        return sum(proportional_mb(pid) for pid in family(self.process.pid))


def family(pid: int) -> list[int]:
    """The process and everything below it, whichever of its threads has started that. Linux only."""
    children: list[str] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            children += path.read_text().split()
    return [pid, *(one for child in children for one in family(int(child)))]


def cpu_seconds(pid: int) -> float:
    """Of the process, and of those it started and has seen end: what they used is nowhere else."""
    return sum(map(int, _stat(pid)[11:15])) / _TICKS


def postmaster(backend: int) -> int:
    """The parent of one of PostgreSQL's processes; 0 if that does not run on this machine."""
    return int(_stat(backend)[1]) if _name(backend) == "postgres" else 0


def _name(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def _stat(pid: int) -> list[str]:
    """What the kernel tells after the name: state, parent, …; nothing of a process that is not there."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []


def machine_cpu_seconds() -> tuple[float, float]:
    """Of all processors since the machine started: what was used, and what there was."""
    spent = [int(ticks) / _TICKS for ticks in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return sum(spent) - spent[3] - spent[4], sum(spent)  # without idle, and idle for want of a disk


def proportional_mb(pid: int) -> float:
    """Pages that n processes share count as an n-th for each."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return int(text.partition("\nPss:")[2].split()[0]) / 1024


def resident_mb(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 1e6
    except OSError:
        return 0.0


def offer_load(job: Mapping[str, Any]) -> dict[str, Any]:
    """Run the load generator; see ``load.py``."""
    done = subprocess.run(
        [sys.executable, "-m", "saas.tests.benchmarks.load"],
        cwd=settings.BASE_DIR,
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the load generator failed:\n{done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
