"""Where a body ends: upgrades, lengths, chunks, trailers, bodies that break off."""

from saas.tests.http.case import (
    Case,
    Pieces,
    chunked,
    post_then_get,
    request_head,
    smuggled_request,
    with_chunks,
    with_lengths,
)
from saas.tests.http.services import Target, get

# ── Upgrades ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def upgrading(protocol: str) -> Pieces:
    def pieces(target: Target) -> list[bytes]:
        body = smuggled_request(target)
        upgrade = (f"Content-Length: {len(body)}", "Connection: Upgrade", f"Upgrade: {protocol}")
        return [request_head(target, "POST /health HTTP/1.1", *upgrade), body, get(target.host)]

    return pieces


def upgrading_delivery(target: Target) -> list[bytes]:
    body = target.post_body()
    upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
    headers = (*target.post_headers(body), f"Content-Length: {len(body)}", *upgrade)
    return [request_head(target, f"POST {target.post_path} HTTP/1.1", *headers), body, get(target.host)]


UPGRADES = [
    *(
        Case(f"Upgrade: {protocol}, a body that looks like a request", upgrading(protocol), "405", proxied="405 200")
        for protocol in ("h2c", "websocket", "TLS/1.0", "nonsense")
    ),
    Case("Upgrade: h2c as curl sends it, with an ordinary body", upgrading_delivery, "ok", proxied="ok 200"),
    Case(
        "Upgrade: h2c without a body",
        lambda t: [request_head(t, "GET /health HTTP/1.1", "Connection: Upgrade", "Upgrade: h2c"), get(t.host)],
        "200",
        proxied="200 200",
    ),
    Case(
        "Upgrade: websocket with its key",
        lambda t: [
            request_head(
                t,
                "GET /health HTTP/1.1",
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            ),
            get(t.host),
        ],
        "200",
        proxied="200 200",
    ),
]

# ── Where a body ends ────────────────────────────────────────────────────────────────────────────────────────────────

FRAMING = [
    Case(
        "Content-Length and Transfer-Encoding",
        lambda t: post_then_get(t, "Content-Length: 4", "Transfer-Encoding: chunked", wire=chunked),
        "400 | ok",
        proxied="400 | ok | ok 200",
    ),
    Case("Transfer-Encoding and Content-Length, a request after the last chunk",
         lambda t: [
             request_head(t, "POST /health HTTP/1.1", "Transfer-Encoding: chunked",
                          f"Content-Length: {5 + len(smuggled_request(t))}")
             + b"0\r\n\r\n" + smuggled_request(t)
         ],
         "400 | 405", proxied="400 | 405 | 405 404"),
    Case("two lengths", with_lengths("Content-Length: {}", "Content-Length: 3"), "400"),
    Case("two lengths in one header", with_lengths("Content-Length: {}, 3"), "400"),
    *(
        Case(f"Content-Length: {length}", with_lengths(f"Content-Length: {length}"), "400")
        for length in ("+10", "-10", "0x10", "1_0", "10.0", "1 0", "ten", "99999999999999999999")
    ),
    # Debian's Caddy takes it for none: what follows is a request of this client, to the service as well.
    Case("a Content-Length without a number", with_lengths("Content-Length: "), "400", "400 | 405 404"),
    *(
        Case(f"Transfer-Encoding: {coding!r}",
             with_lengths(f"Transfer-Encoding: {coding}", "Content-Length: {}"), "400", "400 | 501")
        for coding in ("xchunked", "chunked, identity", "identity", "gzip", "chunk\x0bed", "")
    ),
    Case("Transfer-Encoding: gzip, chunked", with_chunks(b"", "Transfer-Encoding: gzip"), "400", "400 | 501"),
    Case("Transfer-Encoding twice", with_chunks(chunked(b"a"), "Transfer-Encoding: chunked"), "400 | 405", "400 | 501"),
    Case("a space before the colon of Transfer-Encoding",
         with_lengths("Transfer-Encoding : chunked", "Content-Length: {}"), "400"),
    Case("a space before the colon of Content-Length", with_lengths("Content-Length : {}"), "400"),
    Case("Transfer-Encoding in HTTP/1.0",
         lambda t: [request_head(t, "POST /health HTTP/1.0", "Transfer-Encoding: chunked") + chunked(b"a")], "400 | 405"),
    Case("an ordinary length", lambda t: post_then_get(t, f"Content-Length: {len(t.post_body())}"), "ok 200"),
    Case("ordinary chunks", lambda t: post_then_get(t, "Transfer-Encoding: chunked", wire=chunked), "ok 200"),
    Case("chunks in capitals, with an extension", with_chunks(b"A;x=y\r\n0123456789\r\n0\r\n\r\n"), "405 200"),
]  # fmt: skip

CHUNKS = [
    Case(f"a chunk's size: {name}", with_chunks(wire), "400")
    for name, wire in {
        "letters": b"zz\r\na\r\n0\r\n\r\n",
        "negative": b"-1\r\na\r\n0\r\n\r\n",
        "with 0x": b"0x1\r\na\r\n0\r\n\r\n",
        "with an underscore": b"1_0\r\n0123456789012345\r\n0\r\n\r\n",
        "empty": b"\r\na\r\n0\r\n\r\n",
        "too short": b"1\r\nab\r\n0\r\n\r\n",
        "over 64 bits": b"ffffffffffffffff1\r\na\r\n0\r\n\r\n",
    }.items()
]

# ── Bodies that break off, trailers ──────────────────────────────────────────────────────────────────────────────────


def trailing(trailer: str, *, is_declared: bool = False) -> Pieces:
    declared = [f"Trailer: {trailer.partition(':')[0]}"] if is_declared else []

    def pieces(target: Target) -> list[bytes]:
        end = f"0\r\n{trailer}\r\n\r\n".encode()
        return post_then_get(target, *declared, "Transfer-Encoding: chunked", wire=lambda body: chunked(body, end))

    return pieces


def signed_by_trailer(target: Target) -> list[bytes]:
    body = target.post_body()
    json, *signature = target.post_headers(body)
    end = ("\r\n".join(["0", *signature, "", ""])).encode() if signature else b"0\r\nX-Late: 1\r\n\r\n"
    headers = (json, "Transfer-Encoding: chunked", "Connection: close")
    return [request_head(target, f"POST {target.post_path} HTTP/1.1", *headers) + chunked(body, end)]


TRAILERS = [
    "Authorization: Bearer x",
    "Host: evil.example",
    "Origin: https://evil.example",
    "X-Forwarded-For: 192.0.2.1",
    "Content-Length: 5",
]
# Caddy treats a client that closes in the middle of a body as gone, and does not deliver an answer.
BROKEN_OFF = "400 | - | 503 | 200"
BROKEN_BODIES = [
    *(Case(f"trailer {trailer.partition(':')[0]}", trailing(trailer), "400", "ok 200 | 400") for trailer in TRAILERS),
    *(
        Case(
            f"declared trailer {trailer.partition(':')[0]}", trailing(trailer, is_declared=True), "400", "400 | ok 200"
        )
        for trailer in TRAILERS
    ),
    Case("a signature as a trailer", signed_by_trailer, "400", "400 | ok"),
    Case(
        "a body shorter than its length",
        lambda t: [
            request_head(t, f"POST {t.post_path} HTTP/1.1", *t.post_headers(b"{}"), "Content-Length: 9") + b"{}"
        ],
        "400 | -",
        BROKEN_OFF,
        half_close=True,
    ),
    Case(
        "chunks without the last",
        lambda t: [
            request_head(t, f"POST {t.post_path} HTTP/1.1", *t.post_headers(b"{}"), "Transfer-Encoding: chunked")
            + chunked(b"{}", b"")
        ],
        "400 | -",
        BROKEN_OFF,
        half_close=True,
    ),
    Case(
        "a chunk that breaks off",
        lambda t: [
            request_head(t, f"POST {t.post_path} HTTP/1.1", *t.post_headers(b"{}"), "Transfer-Encoding: chunked")
            + b"9\r\n{}"
        ],
        "400 | -",
        BROKEN_OFF,
        half_close=True,
    ),
]
