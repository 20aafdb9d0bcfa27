"""Every raw case: what is sent, and what each service answers, direct and behind the proxy.

``answer`` has the statuses of all responses, after which the connection is closed: ``200 404`` two in this order, ``-``
none, ``|`` between what may be, ``ok`` the answer to a body that was read as a whole.
"""

from collections.abc import Callable, Iterator
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
        told = self.proxied if way == "proxied" and self.proxied else self.answer
        return {one.strip() for one in told.split("|")}


def head(target: Target, first: str, *headers: str, host: bool = True) -> bytes:
    lines = [first, *([f"Host: {target.host}"] if host else []), *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def smuggled(target: Target) -> bytes:
    """A request that hides in a body; nobody may answer it."""
    return get(target.host, "/api/smuggled")


def chunked(body: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body) + end


def posted(target: Target, *headers: str, wire: Callable[[bytes], bytes] = bytes) -> list[bytes]:
    """An acceptable body, framed by ``headers`` and ``wire``; then another request."""
    body = target.post_body()
    start = head(target, f"POST {target.post_path} HTTP/1.1", *target.post_headers(body), *headers)
    return [start + wire(body), get(target.host)]


def with_lengths(*headers: str) -> Pieces:
    """``{}`` in a header is the length of a body that looks like a request."""

    def pieces(target: Target) -> list[bytes]:
        body = smuggled(target)
        told = [header.format(len(body)) for header in headers]
        return [head(target, "POST /health HTTP/1.1", *told) + body, get(target.host)]

    return pieces


def with_chunks(wire: bytes, *headers: str) -> Pieces:
    def pieces(target: Target) -> list[bytes]:
        return [head(target, "POST /health HTTP/1.1", "Transfer-Encoding: chunked", *headers) + wire, get(target.host)]

    return pieces


def asking(first: str, *headers: str, host: bool = True) -> Pieces:
    return lambda target: [head(target, first, "Connection: close", *headers, host=host)]


def raw(request: bytes) -> Pieces:
    """``%HOST%`` is the service's own name."""
    return lambda target: [request.replace(b"%HOST%", target.host.encode())]


# ── Upgrades ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def upgrading(protocol: str) -> Pieces:
    def pieces(target: Target) -> list[bytes]:
        body = smuggled(target)
        upgrade = (f"Content-Length: {len(body)}", "Connection: Upgrade", f"Upgrade: {protocol}")
        return [head(target, "POST /health HTTP/1.1", *upgrade), body, get(target.host)]

    return pieces


def upgrading_delivery(target: Target) -> list[bytes]:
    body = target.post_body()
    upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
    told = (*target.post_headers(body), f"Content-Length: {len(body)}", *upgrade)
    return [head(target, f"POST {target.post_path} HTTP/1.1", *told), body, get(target.host)]


UPGRADES = [
    *(
        Case(f"Upgrade: {protocol}, a body that looks like a request", upgrading(protocol), "405", proxied="405 200")
        for protocol in ("h2c", "websocket", "TLS/1.0", "nonsense")
    ),
    Case("Upgrade: h2c as curl sends it, with an ordinary body", upgrading_delivery, "ok", proxied="ok 200"),
    Case(
        "Upgrade: h2c without a body",
        lambda t: [head(t, "GET /health HTTP/1.1", "Connection: Upgrade", "Upgrade: h2c"), get(t.host)],
        "200",
        proxied="200 200",
    ),
    Case(
        "Upgrade: websocket with its key",
        lambda t: [
            head(
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
        lambda t: posted(t, "Content-Length: 4", "Transfer-Encoding: chunked", wire=chunked),
        "400 | ok",
        proxied="400 | ok | ok 200",
    ),
    Case("Transfer-Encoding and Content-Length, a request after the last chunk",
         lambda t: [
             head(t, "POST /health HTTP/1.1", "Transfer-Encoding: chunked", f"Content-Length: {5 + len(smuggled(t))}")
             + b"0\r\n\r\n" + smuggled(t)
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
        Case(f"Transfer-Encoding: {coding!r}", with_lengths(f"Transfer-Encoding: {coding}", "Content-Length: {}"), "400", "400 | 501")
        for coding in ("xchunked", "chunked, identity", "identity", "gzip", "chunk\x0bed", "")
    ),
    Case("Transfer-Encoding: gzip, chunked", with_chunks(b"", "Transfer-Encoding: gzip"), "400", "400 | 501"),
    Case("Transfer-Encoding twice", with_chunks(chunked(b"a"), "Transfer-Encoding: chunked"), "400 | 405", "400 | 501"),
    Case("a space before the colon of Transfer-Encoding",
         with_lengths("Transfer-Encoding : chunked", "Content-Length: {}"), "400"),
    Case("a space before the colon of Content-Length", with_lengths("Content-Length : {}"), "400"),
    Case("Transfer-Encoding in HTTP/1.0",
         lambda t: [head(t, "POST /health HTTP/1.0", "Transfer-Encoding: chunked") + chunked(b"a")], "400 | 405"),
    Case("an ordinary length", lambda t: posted(t, f"Content-Length: {len(t.post_body())}"), "ok 200"),
    Case("ordinary chunks", lambda t: posted(t, "Transfer-Encoding: chunked", wire=chunked), "ok 200"),
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
        return posted(target, *declared, "Transfer-Encoding: chunked", wire=lambda body: chunked(body, end))

    return pieces


def signed_by_trailer(target: Target) -> list[bytes]:
    body = target.post_body()
    json, *signature = target.post_headers(body)
    end = ("\r\n".join(["0", *signature, "", ""])).encode() if signature else b"0\r\nX-Late: 1\r\n\r\n"
    told = (json, "Transfer-Encoding: chunked", "Connection: close")
    return [head(target, f"POST {target.post_path} HTTP/1.1", *told) + chunked(body, end)]


TRAILERS = [
    "Authorization: Bearer x",
    "Host: evil.example",
    "Origin: https://evil.example",
    "X-Forwarded-For: 192.0.2.1",
    "Content-Length: 5",
]
# Who ends the connection in the middle of a body is gone for Caddy: it writes an empty 200, which nobody reads.
BROKEN_OFF = "400 | - | 503 | 200"
BROKEN_BODIES = [
    *(Case(f"trailer {trailer.partition(':')[0]}", trailing(trailer), "400", "ok 200 | 400") for trailer in TRAILERS),
    *(
        Case(f"declared trailer {trailer.partition(':')[0]}", trailing(trailer, is_declared=True), "400", "400 | ok 200")
        for trailer in TRAILERS
    ),
    Case("a signature as a trailer", signed_by_trailer, "400", "400 | ok"),
    Case(
        "a body shorter than its length",
        lambda t: [head(t, f"POST {t.post_path} HTTP/1.1", *t.post_headers(b"{}"), "Content-Length: 9") + b"{}"],
        "400 | -",
        BROKEN_OFF,
        half_close=True,
    ),
    Case(
        "chunks without the last",
        lambda t: [
            head(t, f"POST {t.post_path} HTTP/1.1", *t.post_headers(b"{}"), "Transfer-Encoding: chunked")
            + chunked(b"{}", b"")
        ],
        "400 | -",
        BROKEN_OFF,
        half_close=True,
    ),
    Case(
        "a chunk that breaks off",
        lambda t: [
            head(t, f"POST {t.post_path} HTTP/1.1", *t.post_headers(b"{}"), "Transfer-Encoding: chunked") + b"9\r\n{}"
        ],
        "400 | -",
        BROKEN_OFF,
        half_close=True,
    ),
]

# ── Sizes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def endless(start: bytes) -> Pieces:
    """Two megabytes of a line without an end."""
    return lambda t: [start.replace(b"%HOST%", t.host.encode()), *[b"a" * 65_536] * 32]


SIZES = [
    Case("101 headers", asking("GET /health HTTP/1.1", *[f"X-{n}: a" for n in range(99)]), "400 | 431"),
    Case("a header line of 64 KB", asking("GET /health HTTP/1.1", "X-Long: " + "a" * 65_536), "400 | 431"),
    Case("a header line without an end", endless(b"GET /health HTTP/1.1\r\nHost: %HOST%\r\nX-Long: "), "400 | 431", pause_seconds=0),
    Case("headers without an end",
         lambda t: [b"GET /health HTTP/1.1\r\n", *[b"X-More: a\r\n" * 2048] * 64], "400 | 431", pause_seconds=0),
    Case("a target of 9 KB", asking("GET /health?" + "a" * 9_216 + " HTTP/1.1"), "400 | 414"),
    Case("a target without an end", endless(b"GET /"), "400 | 414 | 431", pause_seconds=0),
    Case("a method without an end", endless(b"G"), "400 | 431", pause_seconds=0),
    Case("a length of 3 MB", asking("POST /health HTTP/1.1", "Content-Length: 3000000"), "413"),
]  # fmt: skip

# ── What is no HTTP/1.1 ──────────────────────────────────────────────────────────────────────────────────────────────

# What the proxy understands all the same it sends on in good order.
UNDERSTOOD = {
    "HTTP/1.2": "400 | 505 | 200",
    "a folded header": "400 | 200",
    "an empty name": "400 | 200",
    "the preface of HTTP/2": "400 | 505 | - | - garbage open",
}
SYNTAX = [
    Case(name, raw(request), answer, UNDERSTOOD.get(name, ""))
    for name, request, answer in [
        ("HTTP/0.9", b"GET /health\r\n\r\n", "400 | -"),
        *(
            (version, b"GET /health %b\r\nHost: %%HOST%%\r\nConnection: close\r\n\r\n" % version.encode(), "400 | 505 | -")
            for version in ("HTTP/0.9 in words", "HTTP/1.2", "HTTP/2.0", "HTTP/9.9", "HTTP/1", "http/1.1", "HTTPS/1.1")
        ),
        ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", "400 | 505 | -"),
        ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64 + b"\r\n\r\n", "400 | -"),
        ("nonsense", b"complete and utter nonsense\r\n\r\n", "400 | -"),
        *(
            (name, b"GET /health HTTP/1.1\r\nHost: %HOST%\r\nConnection: close\r\n" + line + b"\r\n\r\n", "400 | -")
            for name, line in [
                ("NUL in a header", b"X-A: a\x00b"),
                ("NUL in a header's name", b"X-\x00A: b"),
                ("CR in a header", b"X-A: a\rb"),
                ("a folded header", b"X-A: a\r\n b"),
                ("an empty name", b": a"),
                ("a space in a name", b"X A: a"),
                ("a line without a colon", b"X-A"),
                ("a name with brackets", b"X[A]: a"),
            ]
        ),
        ("a first header that is folded", b"GET /health HTTP/1.1\r\n Host: %HOST%\r\n\r\n", "400 | -"),
        ("NUL in the target", b"GET /hea\x00lth HTTP/1.1\r\nHost: %HOST%\r\n\r\n", "400 | -"),
        ("a space in the target", b"GET /hea lth HTTP/1.1\r\nHost: %HOST%\r\n\r\n", "400 | -"),
        ("two spaces in the first line", b"GET  /health HTTP/1.1\r\nHost: %HOST%\r\nConnection: close\r\n\r\n", "400 | -"),
        ("no target", b"GET HTTP/1.1\r\nHost: %HOST%\r\n\r\n", "400 | -"),
    ]
]

LAX = [
    Case(name, raw(request), answer, proxied)
    for name, request, answer, proxied in [
        ("bare line feeds", b"GET /health HTTP/1.1\nHost: %HOST%\nConnection: close\n\n", "200 | 400", ""),
        ("an empty line first", b"\r\nGET /health HTTP/1.1\r\nHost: %HOST%\r\nConnection: close\r\n\r\n", "200 | 400", ""),
        ("the same length twice",
         b"POST /health HTTP/1.1\r\nHost: %HOST%\r\nContent-Length: 2\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
         "400 | 405", ""),
        ("a method in lower case", b"get /health HTTP/1.1\r\nHost: %HOST%\r\nConnection: close\r\n\r\n", "200 | 400 | 405", ""),
        ("a method that nobody knows", b"BREW /health HTTP/1.1\r\nHost: %HOST%\r\nConnection: close\r\n\r\n", "405", ""),
        ("bytes that are no ASCII in a header",
         b"GET /health HTTP/1.1\r\nHost: %HOST%\r\nConnection: close\r\nX-A: \xff\xc3\xa9\r\n\r\n", "200 | 400", ""),
    ]
]  # fmt: skip

# ── Targets, hosts, methods, expectations ────────────────────────────────────────────────────────────────────────────


def hosted(host: str, path: str = NOTHING, version: str = "1.1") -> Pieces:
    return asking(f"GET {path} HTTP/{version}", f"Host: {host}", host=False)


HOSTS = [
    Case("an absolute target with another host", asking(f"GET http://evil.example{NOTHING} HTTP/1.1"), "400"),
    Case("an absolute target with our host",
         lambda t: [head(t, f"GET http://{t.host}{NOTHING} HTTP/1.1", "Connection: close")], "400", "404"),
    Case("an absolute target with our host, another in Host",
         lambda t: [head(t, f"GET http://{t.host}{NOTHING} HTTP/1.1", "Host: evil.example", "Connection: close", host=False)],
         "400", "404"),
    Case("two hosts", asking(f"GET {NOTHING} HTTP/1.1", "Host: evil.example"), "400"),
    Case("the same host twice",
         lambda t: [head(t, f"GET {NOTHING} HTTP/1.1", f"Host: {t.host}", "Connection: close")], "400"),
    Case("no host", asking(f"GET {NOTHING} HTTP/1.1", host=False), "400"),
    Case("no host in HTTP/1.0", asking(f"GET {NOTHING} HTTP/1.0", host=False), "400"),
    *(
        Case(f"Host: {host}", hosted(host), "400")
        for host in ("", "evil.example", "evil.example:80", "127.0.0.1", "$nonsense", "[::1]")
    ),
    *(
        Case(f"Host: {host}", lambda t, host=host: hosted(host.replace("ours", t.host))(t), "400")
        for host in ("ours:80:80", "ours:abc", "ours:-1", "ours:", "evil@ours", "ours/evil", "ours evil",
                     "ours,evil.example", "[ours]", "ours%2eevil.example")
    ),
    *(
        Case(f"Host: {host}", lambda t, host=host: hosted(host.replace("ours", t.host))(t), "404 | 400")
        for host in ("ours:99999", "ours.")
    ),
    Case("Host in capitals, with a port", lambda t: hosted(f"{t.host.upper()}:8000")(t), "404"),
    *(
        Case(f"GET {path} by address", hosted("10.1.2.3:8000", path), "200", "400") for path in ("/health", "/health/ready")
    ),
    Case("GET /health without a host in HTTP/1.0", asking("GET /health HTTP/1.0", host=False), "200", "400"),
    Case("GET /health without a host in HTTP/1.1", asking("GET /health HTTP/1.1", host=False), "400 | 200", "400"),
    Case("GET /api/health by address", hosted("10.1.2.3:8000", "/api/health"), "400"),
    Case("GET /health/nothing by address", hosted("10.1.2.3:8000", "/health/nothing"), "400"),
    Case("POST /health by address", asking("POST /health HTTP/1.1", "Host: 10.1.2.3", host=False), "400"),
]  # fmt: skip

METHODS = [
    Case("CONNECT", asking("CONNECT evil.example:443 HTTP/1.1"), "400", "400 | 405"),
    Case("CONNECT to ourselves", lambda t: [head(t, f"CONNECT {t.host}:443 HTTP/1.1", "Connection: close")], "400", "400 | 405"),
    Case("TRACE", asking("TRACE /health HTTP/1.1"), "405"),
    Case("GET *", asking("GET * HTTP/1.1"), "400 | 404"),
    Case("OPTIONS *", asking("OPTIONS * HTTP/1.1"), "200 | 400 | 404"),
    Case("Expect: nonsense", asking("GET /health HTTP/1.1", "Expect: nonsense"), "417"),
    Case(
        "Expect: 100-continue",
        lambda t: posted(t, f"Content-Length: {len(t.post_body())}", "Expect: 100-continue"),
        "ok 200",
    ),
]

# ── Pieces ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def pipelined(target: Target) -> bytes:
    body = target.post_body()
    told = (*target.post_headers(body), f"Content-Length: {len(body)}")
    post = head(target, f"POST {target.post_path} HTTP/1.1", *told) + body
    return head(target, "GET /health HTTP/1.1") + post + head(target, f"GET {NOTHING} HTTP/1.1") + get(target.host)


def bytewise(whole: bytes) -> Iterator[bytes]:
    return (whole[at : at + 1] for at in range(len(whole)))


PIECES = [
    Case("four requests in one packet", lambda t: [pipelined(t)], "200 ok 404 200"),
    Case("four requests, each byte a packet", lambda t: list(bytewise(pipelined(t))), "200 ok 404 200", pause_seconds=0),
    Case("a request, then the end", lambda t: [head(t, "GET /health HTTP/1.1")], "200 | -", half_close=True),
    Case("half a head, then the end", raw(b"GET /health HTTP/1.1\r\nHo"), "- | 400", half_close=True),
    Case("nothing, then the end", raw(b""), "-", half_close=True),
]

CASES = [*UPGRADES, *FRAMING, *CHUNKS, *BROKEN_BODIES, *SIZES, *SYNTAX, *LAX, *HOSTS, *METHODS, *PIECES]
