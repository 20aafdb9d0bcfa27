"""The fast door: takes in what the provider has signed, many at a time, and leaves everything else to Django.

A delivery that is not plain (another method, an ``Origin``, an unknown host, no signature or a bad one, too large) gets
Django's answer, from the very view that answers without this door; so there is one rule for each refusal, and one test.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler

from saas.api.problems import Problem
from webhooks.door import bodies
from webhooks.door.answers import Answer, Receive, Scope, Send, usual_headers
from webhooks.door.bridge import Bridge
from webhooks.door.plain import PATH, PlainHeaders, declared_length, forwarded_scheme, plain_headers
from webhooks.door.receiver import ROUTE, Receiver, body_did_not_arrive, refusal
from webhooks.door.writer import Writer

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 1000  # requests: what they hold in memory is bounded by it
_CLOSE = (b"connection", b"close")
_BRIEF_WAIT = {"Retry-After": "1"}


class Door:
    """An ASGI application. ``writing`` is one thread, ``serving`` several: those in which Django answers."""

    def __init__(self, django: WSGIHandler, *, writing: Executor, serving: Executor) -> None:
        self._writer = Writer(writing)
        self._accept = Receiver(self._writer).accept
        self._bridge = Bridge(django, serving)
        self._busy = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._serve(scope, receive, send)
            case "lifespan":
                await self._live(receive, send)
            case _:
                await send({"type": "websocket.close"})

    async def _live(self, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "lifespan.shutdown":
            self.open()
            await send({"type": "lifespan.startup.complete"})
        self.close()
        await send({"type": "lifespan.shutdown.complete"})

    def open(self) -> None:
        self._writer.open()

    def close(self) -> None:
        """Nobody asks any more."""
        self._writer.close()
        self._bridge.close()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._busy += 1
        try:
            await self._answer(scope, receive, send)
        except bodies.Disconnected:
            logger.debug("request_abandoned")
        except bodies.NotArrived:
            await _refusal(scope, body_did_not_arrive).send(send, _CLOSE)
        finally:
            self._busy -= 1

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_delivery = scope["path"] == PATH and scope["method"] == "POST" and not scope["query_string"]
        headers = plain_headers(scope["headers"]) if is_delivery else None
        if self._busy > MOST_AT_ONCE:
            await _refusal(scope, lambda: Problem(503, headers=_BRIEF_WAIT)).send(send, _CLOSE)
        elif headers is not None:
            await self._take(scope, headers, receive, send)
        else:
            await self._pass_on(scope, receive, send)

    async def _take(self, scope: Scope, headers: PlainHeaders, receive: Receive, send: Send) -> None:
        body, _ = await bodies.read(receive, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if self._accept(_peer(scope), headers, body, partial(_settle, answered)):
            await (await answered).send(send, *usual_headers(scope["scheme"], forwarded_scheme(headers)))
        else:  # Django's view finds out once more, notes it, and counts it against the address
            await (await self._bridge.ask(scope, body)).send(send)

    def take(self, peer: str, headers: PlainHeaders, body: bytes, reply: Callable[[Answer], None]) -> bool:
        """Take in a plain delivery that has arrived whole, and ``reply`` once it is committed; the usual headers are the
        caller's to add. False, and nothing is done, if the ordinary way should be gone."""
        if self._busy >= MOST_AT_ONCE:
            return False

        def answered(answer: Answer) -> None:
            self._busy -= 1
            reply(answer)

        is_accepted = self._accept(peer, headers, body, answered)
        self._busy += is_accepted
        return is_accepted

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What is too large is not kept, but read for a while: a caller that still writes would miss the answer."""
        limit, headers = settings.DATA_UPLOAD_MAX_MEMORY_SIZE, dict(scope["headers"])
        body, is_read = b"", False
        if declared_length(headers) <= limit:
            body, is_read = await bodies.read(receive, limit)
        if not is_read and b"expect" not in headers:  # whoever asks first has not begun
            is_read = await bodies.drain(receive)
        answer = await self._bridge.ask(scope, body)
        await answer.send(send, *([] if is_read else [_CLOSE]))


def _settle(answered: "asyncio.Future[Answer]", answer: Answer) -> None:
    if not answered.done():  # whoever waited was cancelled
        answered.set_result(answer)


def _refusal(scope: Scope, problem: Callable[[], Problem]) -> Answer:
    """Django is not asked: it would wait for a body that does not come, or make a crowd larger."""
    headers, route = dict(scope["headers"]), ROUTE if scope["path"] == PATH else "unmatched"
    answer = refusal(scope["method"], route, _peer(scope), headers, problem)
    answer.headers.extend(usual_headers(scope["scheme"], forwarded_scheme(headers)))
    return answer


def _peer(scope: Scope) -> str:
    return str((scope.get("client") or ("",))[0])
