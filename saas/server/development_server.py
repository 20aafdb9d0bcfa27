"""Django's development server, made to behave as production's.

Its own errors are problem documents, it accepts chunked bodies, it reads the rest of a refused body so that the client gets
the response, and it sends no ``Server`` header.
"""

import io
import json
import re
import socket
import time
from http import HTTPStatus
from typing import Any
from wsgiref import simple_server

from django.core.servers import basehttp

from saas.request_context import new_request_id

DRAINED_BYTES, DRAINED_SECONDS = 16 * 2**20, 1.0
_PIECE_BYTES = 65_536
_CHUNK_LINE_BYTES = 1024
_HEX = re.compile(rb"[0-9A-Fa-f]{1,12}")


class BodyStream(io.RawIOBase):
    """The body of a request: ``length`` bytes of ``source``; None for a chunked body."""

    def __init__(self, source: io.BufferedReader, length: int | None) -> None:
        self.source = source
        self.left = length or 0
        self.is_chunked = length is None
        self.has_begun = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the socket at most once. Raises ``OSError`` for invalid chunks."""
        if self.left == 0 and self.is_chunked:
            self._begin_chunk()
        data = self.source.read1(min(len(buffer), self.left)) if self.left else b""
        buffer[: len(data)] = data
        self.left -= len(data)
        return len(data)

    def _begin_chunk(self) -> None:
        if self.has_begun and self.source.readline(_CHUNK_LINE_BYTES).strip():
            raise OSError("a chunk is longer than its size")
        self.has_begun = True
        digits = self.source.readline(_CHUNK_LINE_BYTES).partition(b";")[0].strip()
        if not _HEX.fullmatch(digits):
            raise OSError("a chunk has no size")
        self.left = int(digits, 16)
        if self.left == 0:
            self.is_chunked = False
            while self.source.readline(_CHUNK_LINE_BYTES).strip():
                pass  # trailers are ignored


class ServerHandler(basehttp.ServerHandler):
    server_software = ""
    request_handler: "RequestHandler"

    def __init__(self, stdin: Any, stdout: Any, stderr: Any, environ: dict[str, Any], **options: Any) -> None:
        super().__init__(stdin, stdout, stderr, environ, **options)
        if is_chunked := "HTTP_TRANSFER_ENCODING" in environ:
            environ["wsgi.input_terminated"] = True
        self.body = BodyStream(stdin, None if is_chunked else int(environ.get("CONTENT_LENGTH") or 0))
        self.stdin = io.BufferedReader(self.body)

    def close(self) -> None:
        if not self._is_drained():
            self.request_handler.close_connection = True
        simple_server.ServerHandler.close(self)

    def _is_drained(self) -> bool:
        """Read the rest of the body, at most ``DRAINED_BYTES`` within ``DRAINED_SECONDS``. Whether its end was reached."""
        deadline, left = time.monotonic() + DRAINED_SECONDS, DRAINED_BYTES
        connection: socket.socket = self.request_handler.connection  # type: ignore[assignment]  # stubs name a request
        connection.settimeout(DRAINED_SECONDS)
        try:
            while left > 0 and time.monotonic() < deadline:
                if not (data := self.body.read(_PIECE_BYTES)):
                    return not self.body.left
                left -= len(data)
            return False
        except OSError:
            return False
        finally:
            connection.settimeout(None)


class RequestHandler(basehttp.WSGIRequestHandler):
    def parse_request(self) -> bool:
        """Refuse ambiguous body lengths: the next request on this connection might be a part of the body."""
        if not super().parse_request():
            return False
        lengths, codings = (self.headers.get_all(name, []) for name in ("Content-Length", "Transfer-Encoding"))
        if len(lengths) + len(codings) > 1 or any(coding.lower() != "chunked" for coding in codings):
            self.send_error(400, "It is not plain how long the body is.")
            return False
        if any(not (length.isascii() and length.isdigit()) for length in lengths):
            self.send_error(400, "Content-Length is not a number.")
            return False
        return True

    def handle_one_request(self) -> None:
        """As Django's own, which hard-codes its ``ServerHandler``."""
        self.raw_requestline = self.rfile.readline(65_537)
        if len(self.raw_requestline) > 65_536:
            self.requestline = self.request_version = self.command = ""
            self.send_error(414)
            return
        if not self.parse_request():
            return
        handler = ServerHandler(self.rfile, self.wfile, self.get_stderr(), self.get_environ())
        handler.request_handler = self
        handler.run(self.server.get_app())  # type: ignore[attr-defined]  # stubs name the base class

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer with a problem document what is not HTTP or has too large a head, and never reaches Django."""
        request_id, title = new_request_id(), HTTPStatus(code).phrase
        body = {"type": "urn:saas:problem:malformed", "title": title, "status": int(code), "detail": message or title}
        raw = json.dumps({**body, "code": "malformed", "request_id": request_id}).encode()
        self.close_connection = True
        self.request_version = self.protocol_version  # else it counts as HTTP/0.9, without headers
        self.send_response_only(code)
        self.send_header("Content-Type", "application/problem+json")
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("X-Request-ID", request_id)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(raw)
        self.log_request(code)


class Server(basehttp.WSGIServer):
    """Uses our request handler, for which ``runserver`` has no setting."""

    def __init__(self, address: Any, _: type[basehttp.WSGIRequestHandler], **options: Any) -> None:
        super().__init__(address, RequestHandler, **options)
