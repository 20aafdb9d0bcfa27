"""Run a service behind the RSGI adapter in the test's own process, thread and transaction.

``RsgiScope`` and ``RsgiProtocol`` replace granian's; ``saas/tests/http`` tests over sockets that granian behaves like them.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Self

from django.core.handlers.wsgi import WSGIHandler
from django.db import connections
from django.http import HttpResponse
from django.urls import Resolver404, ResolverMatch, resolve

from saas.testing.clients import ServiceClient
from saas.testing.servers.in_process import keep_test_connection_open
from saas.testing.service_settings import service_settings

CHUNK_BYTES = 65_536


class RsgiHeaders:
    """Like granian's headers: a value that is not ASCII is lost."""

    def __init__(self, sent: list[tuple[str, str]]) -> None:
        self.sent = sent

    def keys(self) -> list[str]:
        return list(dict(self.sent))

    def items(self) -> list[tuple[str, str]]:
        return [(name, value.strip()) for name, value in self.sent if value.isascii()]

    def get(self, key: str, default: Any = None) -> Any:
        return dict(self.items()).get(key, default)

    def get_all(self, key: str) -> list[str]:
        return [value for name, value in self.items() if name == key]

    def __contains__(self, key: str) -> bool:
        return key in self.keys()


class RsgiScope:
    """A scope made from a WSGI environment."""

    http_version, scheme, authority = "1.1", "http", None

    def __init__(self, environ: dict[str, Any]) -> None:
        self.method = environ["REQUEST_METHOD"]
        self.path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        self.query_string = environ.get("QUERY_STRING", "")
        self.client = f"{environ['REMOTE_ADDR']}:40000"
        self.server = f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
        self.headers = RsgiHeaders(list(_sent(environ)))


class RsgiProtocol:
    """A protocol that sends a body in chunks, and records the response. At a chunk of None the body stalls forever."""

    def __init__(self, pieces: list[bytes | None]) -> None:
        self._pieces = pieces
        self._arriving = self._pieces_in_turn()
        self._is_asked_for = False
        self.status, self.headers, self.body = 0, [("", "")], b""

    async def __call__(self) -> bytes:
        return b"".join([piece async for piece in self])

    def __aiter__(self) -> Self:
        if self._is_asked_for:
            raise RuntimeError("RSGI protocol error")
        self._is_asked_for = True
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._arriving)

    async def _pieces_in_turn(self) -> AsyncIterator[bytes]:
        for piece in [*self._pieces]:
            self._pieces.pop(0)
            if piece is None:
                await asyncio.Event().wait()
            yield piece or b""

    def response_empty(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.status, self.headers = status, headers

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    def response_file(self, status: int, headers: list[tuple[str, str]], path: str) -> None:
        with open(path, "rb") as file:
            self.response_bytes(status, headers, file.read())


def _sent(environ: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "host", environ.get("HTTP_HOST", environ["SERVER_NAME"])
    is_chunked = "HTTP_TRANSFER_ENCODING" in environ
    for key, value in environ.items():
        if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} and value and not (is_chunked and key == "CONTENT_LENGTH"):
            yield key.lower().replace("_", "-"), str(value)
        elif key.startswith("HTTP_") and key != "HTTP_HOST":
            yield key[5:].lower().replace("_", "-"), value


class RSGIClient(ServiceClient):
    """Hand requests to the RSGI application, whose threads use the test's own connection."""

    def __init__(self, thread: Executor, service: str = "webhooks") -> None:
        super().__init__(service)
        self.application = self._application(thread)

    def _application(self, thread: Executor) -> Any:
        from saas.server.rsgi_adapter import RSGIAdapter

        bridge = RSGIAdapter(WSGIHandler(), threads=1)
        bridge.set_executors(thread, reserved=thread)
        return bridge

    def request(self, **request: Any) -> Any:
        from saas.testing import response_schema

        environ = self._base_environ(**request)  # type: ignore[attr-defined]
        body = environ["wsgi.input"].read()
        pieces = [body[at : at + CHUNK_BYTES] for at in range(0, len(body), CHUNK_BYTES)]
        answer = self.send_chunks(environ, [*pieces, b""])
        response = _response(answer, environ["PATH_INFO"])
        response_schema.assert_matches_schema(self.service, request["REQUEST_METHOD"], response)
        return response

    def send_chunks(self, environ: dict[str, Any], pieces: list[bytes | None]) -> RsgiProtocol:
        answer = RsgiProtocol(pieces)
        # A use of Django's own client lets Django close the test's connection again.
        with service_settings(self.service), keep_test_connection_open():
            asyncio.run(self.application.__rsgi__(RsgiScope(environ), answer))
        return answer


@contextmanager
def executor_on_test_connection() -> Iterator[Executor]:
    """Yield a thread that sees the transaction of the test."""
    connection = connections["default"]
    connection.inc_thread_sharing()
    executor = ThreadPoolExecutor(1, initializer=lambda: connections.__setitem__("default", connection))
    try:
        with executor as thread, keep_test_connection_open():
            yield thread
    finally:
        connection.dec_thread_sharing()


def _response(answer: RsgiProtocol, path: str) -> HttpResponse:
    response = HttpResponse(answer.body, status=answer.status)
    del response.headers["Content-Type"]
    for name, value in answer.headers:
        response.headers[name.title()] = value
    response.json = lambda: json.loads(response.content)  # type: ignore[attr-defined]
    response.wsgi_request = SimpleNamespace(resolver_match=_resolved(path))  # type: ignore[attr-defined]
    return response


def _resolved(path: str) -> ResolverMatch | None:
    try:
        return resolve(path)
    except Resolver404:
        return None
