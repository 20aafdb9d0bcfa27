"""The webhooks service through its doors, in the test's own process, thread and transaction."""

import asyncio
import json
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

from django.core.handlers.wsgi import WSGIHandler
from django.db import connections
from django.http import HttpResponse
from django.urls import Resolver404, ResolverMatch, resolve

from saas.testing.clients import ServiceClient, acting_as
from saas.testing.in_process import on_this_connection

PIECE = 65_536


class DoorClient(ServiceClient):
    """What the ordinary client sends, handed to the ASGI application. Its threads work on the test's own connection."""

    def __init__(self, thread: Executor) -> None:
        super().__init__("webhooks")
        self.door = self._door(thread)
        self.sent: list[dict[str, Any]] = []  # the last answer's messages

    def _door(self, thread: Executor) -> Any:
        from webhooks.door.door import Door

        return Door(WSGIHandler(), writing=thread, serving=thread)

    def request(self, **request: Any) -> Any:
        from saas.testing import conformity

        environ = self._base_environ(**request)  # type: ignore[attr-defined]
        body = environ["wsgi.input"].read()
        with (
            acting_as("webhooks"),
            on_this_connection(),
        ):  # Django's own client, used meanwhile, lets them close it again
            self._exchange(environ, body)
            response = _response(self.sent, environ["PATH_INFO"])
        conformity.check("webhooks", request["REQUEST_METHOD"], response)
        return response

    def _exchange(self, environ: dict[str, Any], body: bytes) -> None:
        asyncio.run(self._ask(environ, body))

    async def _ask(self, environ: dict[str, Any], body: bytes) -> None:
        self.sent = []
        await self.door(scope_of(environ), _receiving(body), self._note)

    async def _note(self, message: Any) -> None:
        self.sent.append(message)


class WireClient(DoorClient):
    """The same over a socket: head and body arrive together, as most deliveries do; and the door has its connection."""

    async def _ask(self, environ: dict[str, Any], body: bytes) -> None:
        self.door.open()
        async with on_the_wire(self.door, environ["REMOTE_ADDR"]) as (reader, writer):
            writer.write(http_request(environ, body))
            self.sent = await answer_from(reader, has_body=environ["REQUEST_METHOD"] != "HEAD")


class PlainClient(DoorClient):
    """The same, handed to the WSGI application."""

    def _door(self, thread: Executor) -> Any:
        from webhooks.door.threaded_writer import ThreadedWriter
        from webhooks.door.writer import write
        from webhooks.door.wsgi import WSGIDoor

        return WSGIDoor(WSGIHandler(), ThreadedWriter(lambda batch: thread.submit(write, batch).result()))

    def _exchange(self, environ: dict[str, Any], body: bytes) -> None:
        started: list[tuple[str, list[tuple[str, str]]]] = []
        asked = {"HTTP_HOST": environ["SERVER_NAME"], **environ, "wsgi.input": BytesIO(body)}
        answer = self.door(asked, lambda *start: started.append(start))
        pieces = [{"body": piece} for piece in answer]
        getattr(answer, "close", lambda: None)()
        [(status, headers)] = started
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self.sent = [{"status": int(status[:3]), "headers": encoded}, *pieces]


@asynccontextmanager
async def on_the_wire(door: Any, peer: str = "127.0.0.1") -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
    """A connection to the door through the HTTP of ``python -m webhooks``, as if from the address ``peer``."""
    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from webhooks.door.protocol import Protocol

    class PeersProtocol(Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.client = (peer, 40_000)

    config, state = Config(door, ws="none", log_config=None, proxy_headers=False), ServerState()
    state.default_headers = [(b"date", b"Thu, 26 Nov 2026 00:00:00 GMT")]  # uvicorn writes it each second
    server = await asyncio.get_running_loop().create_server(lambda: PeersProtocol(config, state, {}), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            yield reader, writer
        finally:
            writer.close()


def http_request(environ: dict[str, Any], body: bytes) -> bytes:
    target = quote(environ["PATH_INFO"].encode("latin-1")) + (f"?{query}" if (query := environ["QUERY_STRING"]) else "")
    head = f"{environ['REQUEST_METHOD']} {target} HTTP/1.1\r\n".encode("latin-1")
    if "HTTP_TRANSFER_ENCODING" in environ:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    return head + b"".join(b"%b: %b\r\n" % pair for pair in _headers(environ)) + b"\r\n" + body


async def answer_from(reader: StreamReader, *, has_body: bool = True) -> list[dict[str, Any]]:
    """One answer, as the messages of ASGI."""
    status_line, *lines = (await reader.readuntil(b"\r\n\r\n")).rstrip().split(b"\r\n")
    headers = [(name.lower(), value) for name, _, value in (line.partition(b": ") for line in lines)]
    body = await reader.readexactly(int(dict(headers).get(b"content-length", 0))) if has_body else b""
    return [{"status": int(status_line.split()[1]), "headers": headers}, {"body": body}]


def scope_of(environ: dict[str, Any]) -> dict[str, Any]:
    """ASGI's view of a WSGI request."""
    path = environ["PATH_INFO"].encode("latin-1")
    return {
        "type": "http",
        "http_version": "1.1",
        "method": environ["REQUEST_METHOD"],
        "scheme": environ["wsgi.url_scheme"],
        "path": path.decode("utf-8", "replace"),
        "raw_path": quote(path).encode(),
        "query_string": environ.get("QUERY_STRING", "").encode("latin-1"),
        "headers": list(_headers(environ)),
        "client": (environ["REMOTE_ADDR"], 40_000),
        "server": (environ["SERVER_NAME"], int(environ["SERVER_PORT"])),
    }


def _headers(environ: dict[str, Any]) -> Iterable[tuple[bytes, bytes]]:
    yield b"host", environ.get("HTTP_HOST", environ["SERVER_NAME"]).encode("latin-1")
    is_chunked = "HTTP_TRANSFER_ENCODING" in environ
    for key, value in environ.items():
        if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} and value and not (is_chunked and key == "CONTENT_LENGTH"):
            yield key.lower().replace("_", "-").encode(), str(value).encode("latin-1")
        elif key.startswith("HTTP_") and key != "HTTP_HOST":
            yield key[5:].lower().replace("_", "-").encode(), value.encode("latin-1", "replace")


def _receiving(body: bytes) -> Callable[[], Any]:
    pieces = [body[at : at + PIECE] for at in range(0, len(body), PIECE)] or [b""]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    return receive


@contextmanager
def thread_of_the_test() -> Iterator[Executor]:
    """A thread that sees the transaction of the test. The door believes that it commits what it stores: no worker is told."""
    from saas.webhook_events.bell import bell

    connection = connections["default"]
    connection.inc_thread_sharing()
    executor = ThreadPoolExecutor(1, initializer=lambda: connections.__setitem__("default", connection))
    try:
        with executor as thread, on_this_connection(), patch.object(bell, "ring"):
            yield thread
    finally:
        connection.dec_thread_sharing()


def _response(sent: list[dict[str, Any]], path: str) -> HttpResponse:
    start, *rest = sent
    response = HttpResponse(b"".join(message["body"] for message in rest), status=start["status"])
    del response.headers["Content-Type"]
    for name, value in start["headers"]:
        response.headers[name.decode("latin-1").title()] = value.decode("latin-1")
    response.json = lambda: json.loads(response.content)  # type: ignore[attr-defined]
    response.wsgi_request = SimpleNamespace(resolver_match=_resolved(path))  # type: ignore[attr-defined]
    return response


def _resolved(path: str) -> ResolverMatch | None:
    try:
        return resolve(path)
    except Resolver404:
        return None
