"""Buffer a WSGI response in the thread that produced it, and send it from the event loop."""

import asyncio
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple
from wsgiref.types import WSGIApplication, WSGIEnvironment

SPOOL_THRESHOLD_BYTES = 1024 * 1024  # a longer body is written to a file
MAX_RESPONSE_BYTES = 512 * 1024 * 1024
_FILE_SECONDS = 30.0  # until the file is unlinked: granian has opened it by then
# hyper writes lengths and connection headers itself. It would add a Server header of its own if there were none.
_NOT_OURS = {"content-length", "connection", "transfer-encoding", "server"}
_NAMELESS = ("server", "")


class ResponseTooLarge(Exception):
    """More than ``MAX_RESPONSE_BYTES``."""


class BufferedResponse(NamedTuple):
    """``path`` names the file that holds the body if it is too long for ``body``."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
    path: str = ""

    def send(self, protocol: Any, *more: tuple[str, str]) -> None:
        headers = [*self.headers, *more, _NAMELESS]
        if self.path:
            protocol.response_file(self.status, headers, self.path)
            asyncio.get_running_loop().call_later(_FILE_SECONDS, os.unlink, self.path)
        elif self.body:
            protocol.response_bytes(self.status, headers, self.body)
        else:
            protocol.response_empty(self.status, headers)


def call_wsgi(application: WSGIApplication, environ: WSGIEnvironment) -> BufferedResponse:
    """Call ``application`` in this thread and buffer its response. Raises ``ResponseTooLarge``; nothing has been sent then."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: object = None, /
    ) -> Callable[[bytes], object]:
        started.append((status, headers))
        return lambda data: None  # PEP 3333's write(), which Django does not use

    result: Any = application(environ, start_response)
    try:
        body, path = _buffer(result)
    finally:
        if hasattr(result, "close"):
            result.close()
    status, headers = started[-1]
    kept = [(name.lower(), value) for name, value in headers if name.lower() not in _NOT_OURS]
    if environ["REQUEST_METHOD"] == "HEAD":
        kept += [("content-length", value) for name, value in headers if name.lower() == "content-length"]
    elif path:
        kept.append(("content-length", str(os.path.getsize(path))))
    return BufferedResponse(int(status[:3]), kept, body, path)


def _buffer(pieces: Iterable[bytes]) -> tuple[bytes, str]:
    """Return the body, or the path of the file that it was written to."""
    found: list[bytes] = []
    size = 0
    rest = iter(pieces)
    for piece in rest:
        found.append(piece)
        size += len(piece)
        if size > SPOOL_THRESHOLD_BYTES:
            return b"", _write_to_file([*found], rest)
    return b"".join(found), ""


def _write_to_file(first: list[bytes], rest: Iterator[bytes]) -> str:
    descriptor, path = tempfile.mkstemp(prefix="saas-response-")
    try:
        with open(descriptor, "wb") as file:
            for piece in first:
                file.write(piece)
            for piece in rest:
                if file.tell() > MAX_RESPONSE_BYTES:
                    raise ResponseTooLarge
                file.write(piece)
    except BaseException:
        os.unlink(path)
        raise
    return path
