"""A raw case: the bytes sent, and the expected answers of each service, direct and behind the proxy.

``answer`` has the statuses of all responses, after which the connection is closed: ``200 404`` two in this order, ``-``
none, ``|`` between what may be, ``ok`` the answer to a body that was read as a whole.
"""

from collections.abc import Callable
from dataclasses import dataclass

from saas.tests.http.services import Target, get

NOTHING = "/api/nothing"
Pieces = Callable[[Target], list[bytes]]


@dataclass(frozen=True)
class Case:
    """``proxied``: the answer behind the proxy, where it differs."""

    name: str
    pieces: Pieces
    answer: str
    proxied: str = ""
    half_close: bool = False
    pause_seconds: float = 0.03

    def expected(self, way: str) -> set[str]:
        """``way``: ``direct`` or ``proxied``."""
        answer = self.proxied if way == "proxied" and self.proxied else self.answer
        return {one.strip() for one in answer.split("|")}


def request_head(target: Target, first: str, *headers: str, host: bool = True) -> bytes:
    lines = [first, *([f"Host: {target.host}"] if host else []), *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def smuggled_request(target: Target) -> bytes:
    """A request hidden in a body, which must get no answer."""
    return get(target.host, "/api/smuggled")


def chunked(body: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body) + end


def post_then_get(target: Target, *headers: str, wire: Callable[[bytes], bytes] = bytes) -> list[bytes]:
    """Send a valid body, framed by ``headers`` and ``wire``, then another request."""
    body = target.post_body()
    start = request_head(target, f"POST {target.post_path} HTTP/1.1", *target.post_headers(body), *headers)
    return [start + wire(body), get(target.host)]


def with_lengths(*headers: str) -> Pieces:
    """``{}`` in a header is the length of a body that looks like a request."""

    def pieces(target: Target) -> list[bytes]:
        body = smuggled_request(target)
        headers_with_length = [header.format(len(body)) for header in headers]
        return [request_head(target, "POST /health HTTP/1.1", *headers_with_length) + body, get(target.host)]

    return pieces


def with_chunks(wire: bytes, *headers: str) -> Pieces:
    def pieces(target: Target) -> list[bytes]:
        return [
            request_head(target, "POST /health HTTP/1.1", "Transfer-Encoding: chunked", *headers) + wire,
            get(target.host),
        ]

    return pieces


def request_with(first: str, *headers: str, host: bool = True) -> Pieces:
    return lambda target: [request_head(target, first, "Connection: close", *headers, host=host)]


def raw(request: bytes) -> Pieces:
    """``%HOST%`` is the service's own name."""
    return lambda target: [request.replace(b"%HOST%", target.host.encode())]
