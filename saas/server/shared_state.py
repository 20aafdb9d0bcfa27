"""State that the processes of one server share in a folder: the draining flag, heartbeats of workers, a failed boot.

Files, because workers may be forked or spawned; on tmpfs where there is one, because a heartbeat must not wait for a disk.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from saas.operations import draining
from saas.operations.processes import is_process_alive

_MEMORY = Path("/dev/shm")  # noqa: S108
_FOLDER = "SAAS_SERVER_STATE"
_PREFIX = "saas-server-"
_MIN_FREE_BYTES = 32 * 1024 * 1024


class SharedState:
    """Reads and writes the files in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._beats = folder / "beats"
        self._failure = folder / "failed-to-boot"

    def start_draining(self) -> None:
        draining.start_draining()

    def is_draining(self) -> bool:
        return draining.is_draining()

    def record_failed_boot(self) -> bool:
        """Return whether this is the first process to record it."""
        try:
            self._failure.touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def has_failed_to_boot(self) -> bool:
        return self._failure.exists()

    def record_heartbeat(self, count: int) -> None:
        """Record that this process is alive. ``count`` must differ from the last one."""
        path = self._beats / str(os.getpid())
        path.write_text(str(count), encoding="ascii")

    def heartbeats(self) -> dict[int, str]:
        """Return the last heartbeat of each process, by process id."""
        found = {}
        for path in self._beats.iterdir():
            with suppress(FileNotFoundError):
                found[int(path.name)] = path.read_text(encoding="ascii")
        return found

    def remove_heartbeat(self, pid: int) -> None:
        (self._beats / str(pid)).unlink(missing_ok=True)


@contextmanager
def create_shared_state() -> Iterator[SharedState]:
    """Create the state of a server that starts now. Its workers find it by the environment; it is deleted on exit."""
    base = _MEMORY if os.access(_MEMORY, os.W_OK) and _has_free_space(_MEMORY) else Path(tempfile.gettempdir())
    for stale in base.glob(f"{_PREFIX}*-*"):  # of servers that were killed
        pid = stale.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdecimal() and not is_process_alive(int(pid)):
            shutil.rmtree(stale, ignore_errors=True)
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
    """Have the workers of one server write metrics where each can read all. To be called before prometheus_client is imported.

    prometheus_client maps its files into memory, and a write on a full disk kills the process: then without.
    """
    if not _has_free_space(folder.parent):
        sys.stderr.write(f"{folder.parent} is nearly full: /metrics tells of one worker at a time.\n")
        return
    folder.mkdir()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def _has_free_space(folder: Path) -> bool:
    return shutil.disk_usage(folder).free >= _MIN_FREE_BYTES


def current_shared_state() -> SharedState | None:
    """Return the state of the server whose worker this process is; None if it is no worker."""
    folder = os.environ.get(_FOLDER)
    return SharedState(Path(folder)) if folder else None
