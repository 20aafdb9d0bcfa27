"""A service that has been asked to end: it goes on answering, but says that it wants no more requests.

One byte that all processes of one server share: a file whose path stands in the environment, so that workers find it
whether they are forked or spawned.
"""

import mmap
import os
from pathlib import Path

_PATH = "SAAS_DRAINING_FLAG"


def _mapped(path: str | None) -> mmap.mmap:
    if not path:
        return mmap.mmap(-1, 1)
    with open(path, "r+b") as file:
        return mmap.mmap(file.fileno(), 1)


_flag = _mapped(os.environ.get(_PATH))


def share_draining_flag(path: Path) -> None:
    """Keep the flag in ``path`` from now on, for this process and those that it starts."""
    global _flag
    path.write_bytes(b"\0")
    os.environ[_PATH] = str(path)
    _flag = _mapped(str(path))


def start_draining() -> None:
    """From now on ``/health/ready`` is 503 in every process of this server."""
    _flag[0] = 1


def is_draining() -> bool:
    return bool(_flag[0])
