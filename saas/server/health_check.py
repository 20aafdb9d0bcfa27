"""``python -m saas.server.health_check``: exit with 0 if the service of this container answers. Standard library only.

One image runs every process: a container of a worker or beat, which answers nothing, is healthy for as long as it runs.
"""

import os
import socket
import sys
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path

TIMEOUT_SECONDS = 3.0
ANSWER_NOTHING = {"celery", "webhook_worker"}


class _SocketConnection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_SECONDS)
        self.sock.connect(self._path)


def is_healthy(command: Sequence[str]) -> bool:
    """Whether ``/health`` answers 200 within ``TIMEOUT_SECONDS`` where ``command``, that of the container, listens."""
    if ANSWER_NOTHING & {Path(word).name for word in command}:
        return True
    connection = _connection(os.environ.get("BIND", "").strip("\"' "), _port_option(command))
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _connection(bind: str, port_option: str) -> HTTPConnection:
    is_socket = bind.startswith("unix:")
    if is_socket and not port_option:
        return _SocketConnection(bind.removeprefix("unix:"))
    host, _, port = (":8000" if is_socket or not bind else bind).rpartition(":")
    every_interface = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "localhost"}  # noqa: S104
    plain = host.strip("[]")
    return HTTPConnection(every_interface.get(plain, plain), int(port_option or port), timeout=TIMEOUT_SECONDS)


def _port_option(command: Sequence[str]) -> str:
    """Return what ``serve`` was given as ``--port``, which overrides ``BIND``."""
    words = [part for word in command for part in word.split("=", 1)]
    return words[words.index("--port") + 1] if "--port" in words[:-1] else ""


def container_command() -> list[str]:
    """Return the command of process 1; nothing where that cannot be read."""
    try:
        return Path("/proc/1/cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
    except OSError:
        return []


if __name__ == "__main__":
    sys.exit(0 if is_healthy(container_command()) else 1)
