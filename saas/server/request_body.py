"""Reading a request's body on the event loop: bounded in size, in time, and in what all bodies hold in memory together.

Not by ``async for``: granian lets a body be asked for once, and each loop would ask for it again.
"""

from collections.abc import AsyncIterator
from typing import Any

from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined]  # public, imported there without saying so

from saas.server.deadline import Deadline

BODY_TIMEOUT_SECONDS = 30.0
MAX_BYTES_IN_MEMORY = 256 * 1024 * 1024  # of all bodies that are being read in this process
SHORT_BODY_BYTES = 32 * 1024  # however many connections there may be, their short bodies fit into memory
MAX_DISCARDED_BYTES, DISCARD_SECONDS = 4 * 1024 * 1024, 1.0


class BodyTooLarge(Exception):
    """Longer than the limit."""


class BodyTooSlow(Exception):
    """Not here after ``ARRIVAL_SECONDS``."""


class IncompleteBody(Exception):
    """It ended before its length, in a bad chunk, or in trailers."""


class BodyMemoryExceeded(Exception):
    """Other bodies hold all the memory there is for them."""


class BodyReader:
    """One for each process."""

    def __init__(self) -> None:
        self._held = 0

    async def read(self, arriving: AsyncIterator[bytes], *, length: int | None, limit: int) -> bytes:
        """The whole body, of ``length`` bytes, or in chunks if that is None, to be released. Raises what stands above, and
        then holds nothing."""
        if length is not None and length > limit:
            raise BodyTooLarge
        chunks: list[bytes] = []
        try:
            with Deadline(BODY_TIMEOUT_SECONDS):
                ends = await self._read_into(chunks, arriving, limit)
            body = b"".join(chunks)
            # granian raises nothing for a body that breaks off. In chunks it says how it ended by the number of empty
            # ones: one at the end, a second for an abort, garbage in place of a size, or trailers.
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
        """One of at most ``SHORT_BYTES``, in one piece: granian reads no further than the length. Piece by piece takes twice as
        long. Raises as ``read``."""
        if self._held + length > MAX_BYTES_IN_MEMORY:
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
        """How many empty chunks there were."""
        size = ends = 0
        while (chunk := await _next(arriving)) is not None:
            size += len(chunk)
            ends += not chunk
            if size > limit:
                raise BodyTooLarge
            if self._held + len(chunk) > MAX_BYTES_IN_MEMORY:
                raise BodyMemoryExceeded
            self._held += len(chunk)
            chunks.append(chunk)
        return ends


async def _next(arriving: AsyncIterator[bytes]) -> bytes | None:
    """None at the end. (``anext`` with a default crashes the interpreter: granian's awaitables are no generators.)"""
    try:
        return await anext(arriving)
    except StopAsyncIteration:
        return None


async def discard_rest(arriving: AsyncIterator[bytes]) -> None:
    """Read on for a moment and keep nothing: a client that is still writing would miss the answer."""
    size = 0
    try:
        with Deadline(DISCARD_SECONDS):
            while (chunk := await _next(arriving)) is not None:
                size += len(chunk)
                if size > MAX_DISCARDED_BYTES:
                    return
    except TimeoutError:
        return
