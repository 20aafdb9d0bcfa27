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
from saas.operations.multiprocess_metrics.folders import (
    MIN_FREE_BYTES,
    delete_abandoned_folders,
    metrics_folder,
    share_metrics,
)

_MEMORY = Path("/dev/shm")  # noqa: S108
_FOLDER = "SAAS_SERVER_STATE"
_PREFIX = "saas-server-"


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
        for path in self._beats.glob("*"):  # nothing if the folder was deleted
            with suppress(FileNotFoundError):
                found[int(path.name)] = path.read_text(encoding="ascii")
        return found

    def remove_heartbeat(self, pid: int) -> None:
        (self._beats / str(pid)).unlink(missing_ok=True)


@contextmanager
def create_shared_state() -> Iterator[SharedState]:
    """Create the state of a server that starts now. Its workers find it by the environment; it is deleted on exit."""
    base = _MEMORY if os.access(_MEMORY, os.W_OK) and _has_free_space(_MEMORY) else Path(tempfile.gettempdir())
    delete_abandoned_folders(base, _PREFIX)
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=base))
    try:
        (folder / "beats").mkdir()
        os.environ[_FOLDER] = str(folder)
        draining.share_draining_flag(folder / "draining")
        if not metrics_folder() and not share_metrics(folder / "metrics"):  # before prometheus_client is imported
            sys.stderr.write(f"{folder} has no room: /metrics tells of one worker at a time.\n")
        yield SharedState(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _has_free_space(folder: Path) -> bool:
    return shutil.disk_usage(folder).free >= MIN_FREE_BYTES


def current_shared_state() -> SharedState | None:
    """Return the state of the server whose worker this process is; None if it is no worker."""
    folder = os.environ.get(_FOLDER)
    return SharedState(Path(folder)) if folder else None
