"""Read request bodies on the event loop, limited in size, in time, and in the memory of all bodies together.

Not by ``async for``: granian provides an iterator once, and each loop would request another one.
"""

from collections.abc import AsyncIterator
from typing import Any

from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined]  # public, imported there without saying so

from saas.server.deadline import Deadline

BODY_TIMEOUT_SECONDS = 30.0
MAX_BODY_BYTES_IN_PROCESS = 256 * 1024 * 1024  # all bodies that are held in this process
SHORT_BODY_BYTES = 32 * 1024  # so short that those of all connections fit into memory
MAX_DISCARDED_BYTES, DISCARD_SECONDS = 4 * 1024 * 1024, 1.0


class BodyTooLarge(Exception):
    """Longer than the limit."""


class BodyTooSlow(Exception):
    """Not complete after ``BODY_TIMEOUT_SECONDS``."""


class IncompleteBody(Exception):
    """Ended before its length, in an invalid chunk, or in trailers."""


class BodyMemoryExceeded(Exception):
    """Other bodies hold ``MAX_BODY_BYTES_IN_PROCESS``."""


class BodyReader:
    """Counts the bytes of the bodies that one process holds."""

    def __init__(self) -> None:
        self._held = 0

    async def read(self, arriving: AsyncIterator[bytes], *, length: int | None, limit: int) -> bytes:
        """Return the whole body, which counts as held until ``release``. ``length`` None: it is chunked.

        Raises the exceptions of this module, and then holds nothing.
        """
        if length is not None and length > limit:
            raise BodyTooLarge
        chunks: list[bytes] = []
        try:
            with Deadline(BODY_TIMEOUT_SECONDS):
                ends = await self._read_into(chunks, arriving, limit)
            body = b"".join(chunks)
            # granian raises nothing for an incomplete body. Of a chunked one it yields one empty chunk at its end, and a
            # second one for an abort, an invalid size, or trailers.
            if ends > 1 if length is None else len(body) != length:
                raise IncompleteBody
        except BaseException as error:
            self._held -= sum(map(len, chunks))
            if isinstance(error, TimeoutError):
                raise BodyTooSlow from error
            raise
        return body

    def release(self, body: bytes) -> None:
        self._held -= len(body)

    async def read_short(self, protocol: Any, length: int) -> bytes:
        """Read at most ``SHORT_BODY_BYTES`` in one call, which takes half the time of iterating. Raises as ``read``."""
        if self._held + length > MAX_BODY_BYTES_IN_PROCESS:
            raise BodyMemoryExceeded
        try:
            with Deadline(BODY_TIMEOUT_SECONDS):
                body: bytes = await protocol()
        except TimeoutError as error:
            raise BodyTooSlow from error
        except ProtocolClosed as error:
            raise IncompleteBody from error
        if len(body) != length:
            raise IncompleteBody
        self._held += length
        return body

    async def _read_into(self, chunks: list[bytes], arriving: AsyncIterator[bytes], limit: int) -> int:
        """Return the number of empty chunks."""
        size = ends = 0
        while (chunk := await _next(arriving)) is not None:
            size += len(chunk)
            ends += not chunk
            if size > limit:
                raise BodyTooLarge
            if self._held + len(chunk) > MAX_BODY_BYTES_IN_PROCESS:
                raise BodyMemoryExceeded
            self._held += len(chunk)
            chunks.append(chunk)
        return ends


async def _next(arriving: AsyncIterator[bytes]) -> bytes | None:
    """Return None at the end. (``anext`` with a default crashes the interpreter: granian's awaitables are no generators.)"""
    try:
        return await anext(arriving)
    except StopAsyncIteration:
        return None


async def discard_rest(arriving: AsyncIterator[bytes]) -> None:
    """Read and discard the rest for at most ``DISCARD_SECONDS``: a client that is still writing would miss the response."""
    size = 0
    try:
        with Deadline(DISCARD_SECONDS):
            while (chunk := await _next(arriving)) is not None:
                size += len(chunk)
                if size > MAX_DISCARDED_BYTES:
                    return
    except TimeoutError:
        return
