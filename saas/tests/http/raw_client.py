"""A plain socket client: it sends bytes as they are, cut where the test cuts them, and parses whatever comes back.

No HTTP library: each repairs, merges or refuses exactly what these tests are about.
"""

import re
import select
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count as counted

Address = tuple[str, int]

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [^\r\n]*)?")
_CALLERS = counted(1)


@dataclass(frozen=True)
class Answer:
    """One final response. ``headers`` has lower-case names."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


@dataclass(frozen=True)
class Exchange:
    """What an exchange brought. ``rest``: bytes that are no whole response; ``is_closed``: the server ended it."""

    answers: tuple[Answer, ...]
    rest: bytes
    is_closed: bool
    seconds: float

    @property
    def statuses(self) -> tuple[int, ...]:
        return tuple(answer.status for answer in self.answers)

    @property
    def text(self) -> str:
        """As the table writes it: the statuses in their order, ``-`` for none; open connections and garbage are named."""
        words = [str(status) for status in self.statuses] or ["-"]
        return " ".join(words + ["garbage"] * bool(self.rest) + ["open"] * (not self.is_closed))


def next_source_address() -> str:
    """An address of the loopback network that no other exchange of this process uses: limits count each for itself."""
    number = next(_CALLERS)
    return f"127.{100 + number // 62_500 % 100}.{number // 250 % 250}.{number % 250 + 1}"


def connect(address: Address, *, source: str = "", timeout_seconds: float = 5.0) -> socket.socket:
    line = socket.create_connection(
        address, timeout=timeout_seconds, source_address=(source or next_source_address(), 0)
    )
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return line


def exchange(
    address: Address,
    *pieces: bytes,
    source: str = "",
    half_close: bool = False,
    pause_seconds: float = 0.03,
    timeout_seconds: float = 3.0,
    count: int = 1_000,
) -> Exchange:
    """Send each of ``pieces`` as a packet of its own; read until the server closes or has answered ``count`` times, at most
    ``timeout_seconds``."""
    started = time.monotonic()
    with connect(address, source=source) as line:
        received, is_closed = _sent(line, pieces, pause_seconds)
        if half_close and not is_closed:
            with suppress(OSError):
                line.shutdown(socket.SHUT_WR)
        if not is_closed:
            is_closed = _gathered(line, received, timeout_seconds, count)
    answers, rest = parse_responses(bytes(received))
    return Exchange(tuple(answers), rest, is_closed, time.monotonic() - started)


def _sent(line: socket.socket, pieces: Iterable[bytes], pause_seconds: float) -> tuple[bytearray, bool]:
    """Send the pieces; return what was received meanwhile, and whether the server has closed."""
    received, pieces = bytearray(), iter(pieces)
    piece = next(pieces, None)
    while piece is not None:
        try:
            line.sendall(piece)
        except OSError:  # the server has closed; its answer may still be there to read
            return received, _gathered(line, received, 0.5)
        piece = next(pieces, None)
        if piece is not None and _gathered(line, received, pause_seconds):
            return received, True
    return received, False


def _gathered(line: socket.socket, received: bytearray, seconds: float, count: int = 1_000) -> bool:
    """Read for so long, or until so many answers are there; whether the server has closed."""
    deadline = time.monotonic() + seconds
    while len(parse_responses(bytes(received))[0]) < count and _is_readable(
        line, max(0.0, deadline - time.monotonic())
    ):
        try:
            piece = line.recv(65_536)
        except OSError:
            return True
        if not piece:
            return True
        received += piece
    return False


def parse_responses(received: bytes) -> tuple[list[Answer], bytes]:
    """Every whole final response, and the bytes that are none. Interim ones (100) are skipped."""
    answers: list[Answer] = []
    for answer, rest in _responses(received):
        received = rest
        if answer.status >= 200 or answer.status == 101:
            answers.append(answer)
    return answers, received


def _responses(received: bytes) -> Iterator[tuple[Answer, bytes]]:
    while received:
        head, separator, rest = received.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        found = _STATUS_LINE.fullmatch(first)
        if not separator or not found:
            return
        status, headers = int(found[1]), _headers(lines)
        has_body = not (status < 200 or status in {204, 304})
        cut = _body(dict(headers), rest) if has_body else (b"", rest)
        if cut is None:
            return
        body, received = cut
        yield Answer(status, headers, body), received


def _headers(lines: list[bytes]) -> tuple[tuple[str, str], ...]:
    pairs = (line.decode("latin-1").partition(":") for line in lines)
    return tuple((name.lower(), value.strip()) for name, _, value in pairs)


def _body(headers: dict[str, str], rest: bytes) -> tuple[bytes, bytes] | None:
    """The body and what follows it; None while some of it is missing."""
    if headers.get("transfer-encoding") == "chunked":
        return _chunks(rest)
    length = int(headers.get("content-length", len(rest)))
    return (rest[:length], rest[length:]) if len(rest) >= length else None


def _chunks(rest: bytes) -> tuple[bytes, bytes] | None:
    body = b""
    while True:
        size, line_end, rest = rest.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16) if line_end else 0
        if not line_end or len(rest) < length + 2:
            return None
        body, rest = body + rest[:length], rest[length + 2 :]
        if not length:
            return body, rest


def _is_readable(line: socket.socket, seconds: float) -> bool:
    """Without ``select``, which knows no descriptor above 1024."""
    poll = select.poll()
    poll.register(line, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
