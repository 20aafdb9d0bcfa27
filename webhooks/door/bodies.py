"""Reading a request's body: never more of it than the limit and a byte, and never for ever."""

import asyncio

from webhooks.door.answers import Receive

ARRIVAL_SECONDS = 30.0
DRAIN_BYTES, DRAIN_SECONDS = 4 * 1024 * 1024, 1.0


class NotArrived(Exception):
    """The body stopped coming."""


class Disconnected(Exception):
    """The caller has gone: nobody waits for an answer."""


async def read(receive: Receive, limit: int) -> tuple[bytes, bool]:
    """The body, cut off one byte over ``limit``, and whether all of it has come."""
    body, more = await _next(receive)
    if not more:
        return body[: limit + 1], True
    try:
        async with asyncio.timeout(ARRIVAL_SECONDS):
            return await _rest(receive, body, limit)
    except TimeoutError as error:
        raise NotArrived from error


async def _rest(receive: Receive, start: bytes, limit: int) -> tuple[bytes, bool]:
    body, more = bytearray(start), True
    while more and len(body) <= limit:
        chunk, more = await _next(receive)
        body += chunk
    return bytes(body[: limit + 1]), not more


async def drain(receive: Receive) -> bool:
    """Read on and keep nothing, so that the caller comes to read the answer; tells whether that was all."""
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            return await _drained(receive)
    except TimeoutError:
        return False


async def _drained(receive: Receive) -> bool:
    size, more = 0, True
    while more and size < DRAIN_BYTES:
        chunk, more = await _next(receive)
        size += len(chunk)
    return not more


async def _next(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    return message.get("body", b""), message.get("more_body", False)
