"""A server of the standard library that runs in a thread of the test's process."""

from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseServer
from threading import Thread
from typing import TypeVar

Server = TypeVar("Server", bound=BaseServer)

POLL_SECONDS = 0.01  # how long its end is waited for; the library's half a second would be most of a short test


@contextmanager
def served_in_thread(server: Server) -> Iterator[Server]:
    """Let ``server`` answer meanwhile, and close it afterwards."""
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": POLL_SECONDS}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
