"""RSGI to WSGI: granian calls Django through this adapter. Bodies are read on the event loop, views run in a thread pool.

No thread waits for a client that sends or receives slowly. Refusals pass Django's middleware, too, with a response that is
made beforehand (``PREPARED_RESPONSE``).
"""

import asyncio
import io
import logging
import os
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Any
from wsgiref.types import WSGIApplication

from django.conf import settings
from django.http import HttpResponse

from saas.api.middleware import PREPARED_RESPONSE
from saas.api.problems import Problem
from saas.operations import draining
from saas.server import request_body, shared_state, watchdog
from saas.server.request_head import PROBES, RequestScope, declared_length, find_refusal, wsgi_environ
from saas.server.responses import BufferedResponse, ResponseTooLarge, call_wsgi

logger = logging.getLogger(__name__)

THREAD_WAIT_SECONDS = 1.0  # then 503
RESERVED_THREADS = 2  # for probes and refusals, which never block
_CLOSE = ("connection", "close")
_RETRY_SOON = {"Retry-After": "1"}

MakeResponse = Callable[[], HttpResponse]


class RSGIAdapter:
    """An RSGI application in front of ``django``."""

    def __init__(self, django: WSGIApplication, *, threads: int) -> None:
        self._django = django
        self._threads = threads
        self._bodies = request_body.BodyReader()

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.set_executors(
            ThreadPoolExecutor(self._threads, thread_name_prefix="django"),
            reserved=ThreadPoolExecutor(RESERVED_THREADS, thread_name_prefix="django-reserved"),
        )
        if shared := shared_state.current_shared_state():
            loop.call_soon(watchdog.send_heartbeats, loop, shared, os.getppid())

    def set_executors(self, executor: Executor, *, reserved: Executor) -> None:
        """Run views in ``executor``; probes and refusals in ``reserved``."""
        self._executor, self._reserved = executor, reserved
        self._free = asyncio.Semaphore(self._threads)

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._executor.shutdown()
        self._reserved.shutdown()

    async def __rsgi__(self, scope: RequestScope, protocol: Any) -> None:
        if refused := find_refusal(scope):
            await self.refuse(scope, protocol, partial(Problem, refused.status, detail=refused.detail))
            return
        body = await self.read_body(scope, protocol)
        if body is not None:
            try:
                await self.answer(scope, protocol, body)
            finally:
                self.release_body(body)

    def release_body(self, body: bytes) -> None:
        self._bodies.release(body)

    async def read_body(self, scope: RequestScope, protocol: Any) -> bytes | None:
        """Return the whole body, to be passed to ``release_body`` later; None if it was refused and that has been answered."""
        length, limit = declared_length(scope), settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if length == 0:
            return b""
        try:
            if length is not None and length <= request_body.SHORT_BODY_BYTES:
                return await self._bodies.read_short(protocol, length)
            arriving = aiter(protocol)
            return await self._bodies.read(arriving, length=length, limit=limit)
        except request_body.BodyTooLarge:
            if "expect" not in scope.headers:  # a client that asks first has sent nothing yet
                await request_body.discard_rest(arriving)
            await self.refuse(scope, protocol, partial(Problem, 413))
        except request_body.BodyTooSlow:
            await self.refuse(scope, protocol, partial(Problem, 408, detail="The body did not arrive in time."))
        except request_body.IncompleteBody:
            await self.refuse(scope, protocol, partial(Problem, 400, detail="The body did not arrive."))
        except request_body.BodyMemoryExceeded:
            await self.refuse(scope, protocol, partial(Problem, 503, headers=_RETRY_SOON))
        return None

    async def answer(self, scope: RequestScope, protocol: Any, body: bytes) -> None:
        """Send Django's response to a request whose body was read; 503 if no thread is free within ``THREAD_WAIT_SECONDS``."""
        if scope.path in PROBES:
            await self._respond(self._reserved, scope, protocol, wsgi_environ(scope, body))
            return
        try:
            async with asyncio.timeout(THREAD_WAIT_SECONDS):
                await self._free.acquire()
        except TimeoutError:
            await self.refuse(scope, protocol, partial(Problem, 503, headers=_RETRY_SOON), close=False)
            return
        try:
            await self._respond(self._executor, scope, protocol, wsgi_environ(scope, body))
        finally:
            self._free.release()

    async def refuse(self, scope: RequestScope, protocol: Any, make: MakeResponse, *, close: bool = True) -> None:
        """Send ``make``'s response through Django's middleware. ``close`` the connection where a body was left unread."""
        prepared = {**wsgi_environ(scope, b""), PREPARED_RESPONSE: make}
        await self._respond(self._reserved, scope, protocol, prepared, close=close)

    async def _respond(
        self, executor: Executor, scope: RequestScope, protocol: Any, environ: dict[str, Any], *, close: bool = False
    ) -> None:
        loop = asyncio.get_running_loop()
        response = await loop.run_in_executor(executor, self._response, environ)
        self.send(protocol, response, close=close or "upgrade" in scope.headers)

    def send(self, protocol: Any, response: BufferedResponse, *, close: bool = False) -> None:
        response.send(protocol, *([_CLOSE] if close or draining.is_draining() else []))

    def middleware_headers(self, content_type: str) -> list[tuple[str, str]]:
        """Return the headers that Django's middleware adds to every response, without the request's id."""
        response = self._response(
            {
                "REQUEST_METHOD": "GET",
                "PATH_INFO": "/health",
                "SERVER_NAME": "localhost",
                "SERVER_PORT": "80",
                "wsgi.input": io.BytesIO(),
                "wsgi.url_scheme": "http",
                PREPARED_RESPONSE: partial(HttpResponse, content_type=content_type),
            }
        )
        return [(name, value) for name, value in response.headers if name != "x-request-id"]

    def _response(self, environ: dict[str, Any]) -> BufferedResponse:
        try:
            return call_wsgi(self._django, environ)
        except ResponseTooLarge:
            detail = "The answer is too long to be sent at once. Ask for less."
            make: MakeResponse = partial(Problem, 503, detail=detail)
        except Exception:
            logger.exception("response_failed")
            make = partial(Problem, 500)
        return call_wsgi(self._django, {**environ, PREPARED_RESPONSE: make})
