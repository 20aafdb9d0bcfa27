"""Processes of this machine, the name of this one, and the run files by which those of one var folder know each other.

A process holds a lock on its run file for as long as it lives, and the lock ends with it however it ends: what a file says
is true exactly while it is locked. Standard library only: settings read it.
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

UP_FILE = "up.json"
PORT_BASE_FILE = "port_base"
_LOCK_ATTEMPTS, _LOCK_PAUSE_SECONDS = 10, 0.05  # a reader holds the lock for a moment
_held: dict[Path, IO[str]] = {}  # open, and so locked, until this process and its forks end


def process_name() -> str:
    """Return ``machine:process id`` of this process."""
    return f"{socket.gethostname()}:{os.getpid()}"[:100]


def is_process_alive(pid: int) -> bool:
    """Whether a process with this id exists, of whatever user."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


# ── Run files ────────────────────────────────────────────────────────────────────────────────────────────────────────


class AlreadyRunning(Exception):
    """Another ``up`` runs on this var folder. ``run``: what its file says."""

    def __init__(self, run: dict[str, Any]) -> None:
        super().__init__("already running")
        self.run = run


def claim_up(var_dir: Path) -> None:
    """Hold the run file of ``up`` from now on, empty. Raises ``AlreadyRunning``."""
    path = _folder(var_dir) / UP_FILE
    if not _hold(path):
        raise AlreadyRunning(running_up(var_dir) or {})
    _write(path, {})


def describe_up(var_dir: Path, *, urls: Mapping[str, str], ports: Mapping[str, int], pids: Mapping[str, int]) -> None:
    """Say in the held file where the services are, and which process is which."""
    described = {"pid": os.getpid(), "urls": dict(urls), "ports": dict(ports), "pids": dict(pids)}
    _write(_folder(var_dir) / UP_FILE, described)


def running_up(var_dir: Path) -> dict[str, Any] | None:
    """Return what the ``up`` that runs on this var folder has described; None if none runs."""
    return _read(var_dir / "run" / UP_FILE)


def remember_port_base(var_dir: Path, port_base: int) -> None:
    """For the next ``up`` of this var folder."""
    (_folder(var_dir) / PORT_BASE_FILE).write_text(str(port_base), encoding="utf-8")


def remembered_port_base(var_dir: Path) -> int | None:
    """Return what the last ``up --port-base`` of this var folder was given; None if none was, or the file is unreadable."""
    try:
        return int((var_dir / "run" / PORT_BASE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def record_service(var_dir: Path, *, service: str, port: int) -> None:
    """Hold a run file that says: this process answers for ``service`` on ``port``."""
    for path in var_dir.glob("run/service-*.json"):
        if path not in _held and _read(path) is None:
            path.unlink(missing_ok=True)  # of a process that has ended
    path = _folder(var_dir) / f"service-{os.getpid()}.json"
    if _hold(path):
        _write(path, {"service": service, "port": port, "pid": os.getpid()})


def running_services(var_dir: Path) -> set[tuple[str, int]]:
    """Return service and port of each process that was started from this var folder and still runs."""
    found = (_read(path) for path in var_dir.glob("run/service-*.json"))
    return {(run["service"], run["port"]) for run in found if run}


def _folder(var_dir: Path) -> Path:
    folder = var_dir / "run"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _hold(path: Path) -> bool:
    """Lock the file for the life of this process; False if another holds it."""
    file = path.open("a+", encoding="utf-8")
    for _ in _attempts():
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        _held[path] = file
        return True
    file.close()
    return False


def _attempts() -> Iterator[None]:
    for _ in range(_LOCK_ATTEMPTS):
        yield
        time.sleep(_LOCK_PAUSE_SECONDS)


def _write(path: Path, run: Mapping[str, Any]) -> None:
    file = _held[path]
    file.truncate(0)
    file.write(json.dumps(run))
    file.flush()


def _read(path: Path) -> dict[str, Any] | None:
    """Return the content of a file that a living process holds; None for any other."""
    try:
        with path.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return json.loads(file.read() or "{}")  # type: ignore[no-any-return]
    except (OSError, ValueError):  # missing, another user's, or just being written
        return None
    return None
