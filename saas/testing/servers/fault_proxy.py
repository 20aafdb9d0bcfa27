"""A TCP proxy that injects network faults between our processes and PostgreSQL, Redis or RabbitMQ.

with FaultProxy(5432) as proxy:      # connect to 127.0.0.1:<proxy.port>
    proxy.mode = Mode.BLACK_HOLE     # affects open connections, too
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from enum import Enum
from typing import Any, Self

_NO_LINGER = struct.pack("ii", 1, 0)  # closing then sends a reset
_CHUNK_BYTES = 65_536
_ACCEPTING_SECONDS = 0.02


class Mode(Enum):
    UP = "up"
    REFUSE = "refuse"  # not listening; open connections are closed
    BLACK_HOLE = "black hole"  # accepts, and delivers nothing until the mode changes, like a partition
    MUTE = "mute"  # delivers what clients send, and no answer until the mode changes
    SLOW = "slow"  # every chunk is delayed by ``delay_seconds``
    RESET = "reset"  # open and new connections are reset


_DOWN = {Mode.REFUSE, Mode.RESET}
_NO_ANSWERS = {Mode.BLACK_HOLE, Mode.MUTE}


class FaultProxy:
    def __init__(self, target_port: int, *, host: str = "127.0.0.1", delay_seconds: float = 0.2) -> None:
        self.target = (host, target_port)
        self.delay_seconds = delay_seconds
        self._mode = Mode.UP
        self._open: set[asyncio.StreamWriter] = set()
        self._requests_pass, self._answers_pass = asyncio.Event(), asyncio.Event()
        self._requests_pass.set()
        self._answers_pass.set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self.mode = Mode.REFUSE
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def mode(self) -> Mode:
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        """Take effect before this returns."""
        self._call(self._switch(mode))

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _switch(self, mode: Mode) -> None:
        self._mode = mode
        self._requests_pass.clear() if mode is Mode.BLACK_HOLE else self._requests_pass.set()
        self._answers_pass.clear() if mode in _NO_ANSWERS else self._answers_pass.set()
        if mode in _DOWN:
            for writer in list(self._open):
                self._drop(writer)
        if mode is Mode.REFUSE and self._server:
            await asyncio.sleep(_ACCEPTING_SECONDS)  # asyncio forgets a connection that it is just accepting
            self._server.close()
            self._server = None
        elif mode is not Mode.REFUSE and not self._server:
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        if self._mode is Mode.RESET:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode in _DOWN:
            return self._drop(writer)
        ends = [writer]
        self._open.add(writer)
        try:
            ours, theirs = await asyncio.open_connection(*self.target)
            ends.append(theirs)
            self._open.add(theirs)
            if self._mode in _DOWN:  # the mode changed meanwhile
                return self._drop(writer)
            requests = self._relay(reader, theirs, self._requests_pass)
            await asyncio.gather(requests, self._relay(ours, writer, self._answers_pass))
        except OSError:
            pass  # one side is gone: the other is closed below
        finally:
            for end in ends:
                self._open.discard(end)
                end.close()
        return None

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passes: asyncio.Event) -> None:
        while data := await reader.read(_CHUNK_BYTES):
            if self._mode is Mode.SLOW:
                await asyncio.sleep(self.delay_seconds)
            await passes.wait()
            writer.write(data)
            await writer.drain()
        writer.close()
