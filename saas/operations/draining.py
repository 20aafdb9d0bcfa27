"""The draining flag of graceful shutdown: the service still answers, but ``/health/ready`` is 503.

One byte in a memory-mapped file that all processes of one server share. Its path is in the environment, so that workers
find it whether they are forked or spawned.
"""

import mmap
import os
from pathlib import Path

_PATH = "SAAS_DRAINING_FLAG"


def _map_flag(path: str | None) -> mmap.mmap:
    if not path:
        return mmap.mmap(-1, 1)
    with open(path, "r+b") as file:
        return mmap.mmap(file.fileno(), 1)


_flag = _map_flag(os.environ.get(_PATH))


def share_draining_flag(path: Path) -> None:
    """Keep the flag in ``path``, for this process and its children. On a full disk only those it forks see it."""
    global _flag
    try:
        path.write_bytes(b"\0")  # a byte that is there: the first write to a hole in a full disk would end the process
    except OSError:
        return
    os.environ[_PATH] = str(path)
    _flag = _map_flag(str(path))


def start_draining() -> None:
    """Set the flag for every process of this server."""
    _flag[0] = 1


def is_draining() -> bool:
    return bool(_flag[0])
