"""The webhooks service through its fast door, in the test's own process, thread and transaction."""

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connections
from django.http import HttpResponse
from django.urls import Resolver404, ResolverMatch, resolve

from saas.testing.clients import ServiceClient, acting_as

PIECE = 65_536


class DoorClient(ServiceClient):
    """What the ordinary client sends, handed to the ASGI application. Its threads work on the test's own connection."""

    def __init__(self, thread: Executor) -> None:
        from webhooks.door.door import Door

        super().__init__("webhooks")
        self.door = Door(WSGIHandler(), writing=thread, serving=thread)
        self.sent: list[dict[str, Any]] = []  # the last answer's messages

    def request(self, **request: Any) -> Any:
        from saas.testing import conformity

        environ = self._base_environ(**request)  # type: ignore[attr-defined]
        body = environ["wsgi.input"].read()
        self.sent = []
        with acting_as("webhooks"):
            asyncio.run(self.door(scope_of(environ), _receiving(body), self._note))
            response = _response(self.sent, environ["PATH_INFO"])
        conformity.check("webhooks", request["REQUEST_METHOD"], response)
        return response

    async def _note(self, message: Any) -> None:
        self.sent.append(message)


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
    """A thread that sees the transaction of the test. Django's requests leave its connection open, as in its own client."""
    connection = connections["default"]
    connection.inc_thread_sharing()
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    thread = ThreadPoolExecutor(1, initializer=lambda: connections.__setitem__("default", connection))
    try:
        yield thread
    finally:
        thread.shutdown()
        for signal in (request_started, request_finished):
            signal.connect(close_old_connections)
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
