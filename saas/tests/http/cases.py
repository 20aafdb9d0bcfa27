"""Every raw case, in the order of the table."""

from collections.abc import Iterator

from saas.tests.http.case import NOTHING, Case, raw, request_head
from saas.tests.http.framing_cases import BROKEN_BODIES, CHUNKS, FRAMING, UPGRADES
from saas.tests.http.head_cases import HOSTS, LAX, METHODS, SIZES, SYNTAX
from saas.tests.http.services import Target, get


def pipelined(target: Target) -> bytes:
    body = target.post_body()
    headers = (*target.post_headers(body), f"Content-Length: {len(body)}")
    post = request_head(target, f"POST {target.post_path} HTTP/1.1", *headers) + body
    return (
        request_head(target, "GET /health HTTP/1.1")
        + post
        + request_head(target, f"GET {NOTHING} HTTP/1.1")
        + get(target.host)
    )


def bytewise(whole: bytes) -> Iterator[bytes]:
    return (whole[at : at + 1] for at in range(len(whole)))


PIECES = [
    Case("four requests in one packet", lambda t: [pipelined(t)], "200 ok 404 200"),
    Case(
        "four requests, each byte a packet", lambda t: list(bytewise(pipelined(t))), "200 ok 404 200", pause_seconds=0
    ),
    Case("a request, then the end", lambda t: [request_head(t, "GET /health HTTP/1.1")], "200 | -", half_close=True),
    Case("half a head, then the end", raw(b"GET /health HTTP/1.1\r\nHo"), "- | 400", half_close=True),
    Case("nothing, then the end", raw(b""), "-", half_close=True),
]

CASES = [*UPGRADES, *FRAMING, *CHUNKS, *BROKEN_BODIES, *SIZES, *SYNTAX, *LAX, *HOSTS, *METHODS, *PIECES]
