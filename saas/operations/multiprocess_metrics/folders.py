"""The folder of the metrics that a server's or worker's processes share. Imports nothing of prometheus_client, which looks for it
when it is imported.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from saas.operations.processes import is_process_alive

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
MIN_FREE_BYTES = 32 * 1024 * 1024
_PREFIX = "saas-metrics-"


def metrics_folder() -> str | None:
    return os.environ.get(VARIABLE) or None


def share_metrics(folder: Path) -> bool:
    """Have this process and its children write metrics to ``folder``, where each can read all. False where there is no room."""
    try:
        if shutil.disk_usage(folder.parent).free < MIN_FREE_BYTES:
            return False
        folder.mkdir(exist_ok=True)
    except OSError:
        return False
    os.environ[VARIABLE] = str(folder)
    return True


def share_metrics_of_worker() -> None:
    """Make a folder for a worker that starts now, unless the environment names one; it goes when this process ends."""
    base = Path(tempfile.gettempdir())
    delete_abandoned_folders(base, _PREFIX)
    folder = base / f"{_PREFIX}{os.getpid()}-{os.urandom(4).hex()}"
    if VARIABLE not in os.environ and share_metrics(folder):
        atexit.register(_delete_own_folder, folder, os.getpid())


def _delete_own_folder(folder: Path, pid: int) -> None:
    if os.getpid() == pid:  # not a child
        shutil.rmtree(folder, ignore_errors=True)


def delete_abandoned_folders(base: Path, prefix: str) -> None:
    """Delete folders named ``prefix`` and a process id, whose process was killed."""
    for folder in base.glob(f"{prefix}*-*"):
        pid = folder.name.removeprefix(prefix).partition("-")[0]
        if pid.isdecimal() and not is_process_alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
