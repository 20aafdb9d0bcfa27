"""What may stand in a request's head: sizes, syntax, targets, hosts, methods."""

from saas.tests.http.case import NOTHING, Case, Pieces, post_then_get, raw, request_head, request_with

# ── Sizes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def endless(start: bytes) -> Pieces:
    """Two megabytes of a line without an end."""
    return lambda t: [start.replace(b"%HOST%", t.host.encode()), *[b"a" * 65_536] * 32]


SIZES = [
    Case("101 headers", request_with("GET /health HTTP/1.1", *[f"X-{n}: a" for n in range(99)]), "400 | 431"),
    Case("a header line of 64 KB", request_with("GET /health HTTP/1.1", "X-Long: " + "a" * 65_536), "400 | 431"),
    Case("a header line without an end",
         endless(b"GET /health HTTP/1.1\r\nHost: %HOST%\r\nX-Long: "), "400 | 431", pause_seconds=0),
    Case("headers without an end",
         lambda t: [b"GET /health HTTP/1.1\r\n", *[b"X-More: a\r\n" * 2048] * 64], "400 | 431", pause_seconds=0),
    Case("a target of 9 KB", request_with("GET /health?" + "a" * 9_216 + " HTTP/1.1"), "400 | 414"),
    Case("a target without an end", endless(b"GET /"), "400 | 414 | 431", pause_seconds=0),
    Case("a method without an end", endless(b"G"), "400 | 431", pause_seconds=0),
    Case("a length of 3 MB", request_with("POST /health HTTP/1.1", "Content-Length: 3000000"), "413"),
]  # fmt: skip

# ── What is no HTTP/1.1 ──────────────────────────────────────────────────────────────────────────────────────────────

# What the proxy accepts nevertheless, it forwards in valid form.
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
            (
                version,
                b"GET /health %b\r\nHost: %%HOST%%\r\nConnection: close\r\n\r\n" % version.encode(),
                "400 | 505 | -",
            )
            for version in ("HTTP/0.9 in words", "HTTP/1.2", "HTTP/2.0", "HTTP/9.9", "HTTP/1", "http/1.1", "HTTPS/1.1")
        ),
        (
            "the preface of HTTP/2",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
            "400 | 505 | -",
        ),
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
        (
            "two spaces in the first line",
            b"GET  /health HTTP/1.1\r\nHost: %HOST%\r\nConnection: close\r\n\r\n",
            "400 | -",
        ),
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
    return request_with(f"GET {path} HTTP/{version}", f"Host: {host}", host=False)


HOSTS = [
    Case("an absolute target with another host", request_with(f"GET http://evil.example{NOTHING} HTTP/1.1"), "400"),
    Case("an absolute target with our host",
         lambda t: [request_head(t, f"GET http://{t.host}{NOTHING} HTTP/1.1", "Connection: close")], "400", "404"),
    Case("an absolute target with our host, another in Host",
         lambda t: [
             request_head(t, f"GET http://{t.host}{NOTHING} HTTP/1.1", "Host: evil.example", "Connection: close", host=False)
         ],
         "400", "404"),
    Case("two hosts", request_with(f"GET {NOTHING} HTTP/1.1", "Host: evil.example"), "400"),
    Case("the same host twice",
         lambda t: [request_head(t, f"GET {NOTHING} HTTP/1.1", f"Host: {t.host}", "Connection: close")], "400"),
    Case("no host", request_with(f"GET {NOTHING} HTTP/1.1", host=False), "400"),
    Case("no host in HTTP/1.0", request_with(f"GET {NOTHING} HTTP/1.0", host=False), "400"),
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
    Case("GET /health without a host in HTTP/1.0", request_with("GET /health HTTP/1.0", host=False), "200", "400"),
    Case("GET /health without a host in HTTP/1.1", request_with("GET /health HTTP/1.1", host=False), "400 | 200", "400"),
    Case("GET /api/health by address", hosted("10.1.2.3:8000", "/api/health"), "400"),
    Case("GET /health/nothing by address", hosted("10.1.2.3:8000", "/health/nothing"), "400"),
    Case("POST /health by address", request_with("POST /health HTTP/1.1", "Host: 10.1.2.3", host=False), "400"),
]  # fmt: skip

METHODS = [
    Case("CONNECT", request_with("CONNECT evil.example:443 HTTP/1.1"), "400", "400 | 405"),
    Case(
        "CONNECT to ourselves",
        lambda t: [request_head(t, f"CONNECT {t.host}:443 HTTP/1.1", "Connection: close")],
        "400",
        "400 | 405",
    ),
    Case("TRACE", request_with("TRACE /health HTTP/1.1"), "405"),
    Case("GET *", request_with("GET * HTTP/1.1"), "400 | 404"),
    Case("OPTIONS *", request_with("OPTIONS * HTTP/1.1"), "200 | 400 | 404"),
    Case("Expect: nonsense", request_with("GET /health HTTP/1.1", "Expect: nonsense"), "417"),
    Case(
        "Expect: 100-continue",
        lambda t: post_then_get(t, f"Content-Length: {len(t.post_body())}", "Expect: 100-continue"),
        "ok 200",
    ),
]
