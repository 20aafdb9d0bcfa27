"""What the processes of one server tell each other, in a folder of its own: that it is ending, and that a worker is alive.

Files, because workers may be forked or spawned; in memory where the system has such a folder, because a sign of life must
not wait for a disk.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from saas.operations import draining

_MEMORY = Path("/dev/shm")  # noqa: S108
_FOLDER = "SAAS_SERVER_STATE"
_PREFIX = "saas-server-"
_ROOM_BYTES = 32 * 1024 * 1024


class SharedState:
    def __init__(self, folder: Path) -> None:
        self._beats = folder / "beats"
        self._failure = folder / "failed-to-boot"

    def start_draining(self) -> None:
        draining.start_draining()

    def is_draining(self) -> bool:
        return draining.is_draining()

    def record_failed_boot(self) -> bool:
        """Whether this is the first process to note it."""
        try:
            self._failure.touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def has_failed_to_boot(self) -> bool:
        return self._failure.exists()

    def record_heartbeat(self, count: int) -> None:
        """Note a sign of life of this process: a number that is never the last one."""
        path = self._beats / str(os.getpid())
        path.write_text(str(count), encoding="ascii")

    def heartbeats(self) -> dict[int, str]:
        """The last sign of life of every process that has shown one, by process id."""
        found = {}
        for path in self._beats.iterdir():
            with suppress(FileNotFoundError):
                found[int(path.name)] = path.read_text(encoding="ascii")
        return found

    def remove_heartbeat(self, pid: int) -> None:
        (self._beats / str(pid)).unlink(missing_ok=True)


@contextmanager
def create_shared_state() -> Iterator[SharedState]:
    """The state of a server that starts now; its workers find it by the environment."""
    base = _MEMORY if os.access(_MEMORY, os.W_OK) and _has_room(_MEMORY) else Path(tempfile.gettempdir())
    _sweep(base)
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=base))
    try:
        (folder / "beats").mkdir()
        os.environ[_FOLDER] = str(folder)
        draining.share_draining_flag(folder / "draining")
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            _share_metrics(folder / "metrics")
        yield SharedState(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _share_metrics(folder: Path) -> None:
    """Before anybody imports prometheus_client: the workers of one server write where each of them can read all. It maps its
    files into memory, and a process that writes into one for which there is no room is killed: better without."""
    if not _has_room(folder.parent):
        sys.stderr.write(f"{folder.parent} is nearly full: /metrics tells of one worker at a time.\n")
        return
    folder.mkdir()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def _has_room(folder: Path) -> bool:
    return shutil.disk_usage(folder).free >= _ROOM_BYTES


def _sweep(base: Path) -> None:
    """Remove what servers left behind that were killed."""
    for folder in base.glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdecimal() and not is_process_alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def is_process_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def current_shared_state() -> SharedState | None:
    """That of the server whose worker this process is, if it is one."""
    folder = os.environ.get(_FOLDER)
    return SharedState(Path(folder)) if folder else None
