"""What the server in front of Django answers, and what production hides. (T57, T62, T64, T66)"""

import json
import resource
import socket
from http.client import HTTPConnection
from pathlib import Path

import pytest

from saas.testing.servers.fault_proxy import Mode
from saas.testing.servers.production import HOSTS, Server, killed_on_exit, production_environment
from saas.tests.faults.harness import DATABASE

pytestmark = [pytest.mark.slow, pytest.mark.faults]

LIMIT = 1_048_576
LOGIN, ME = "/api/auth/login", "/api/auth/me"
JSON = {"Content-Type": "application/json"}
INTERNALS = ["/docs", "/redoc", "/openapi.json", "/metrics", "/api/health/modules", "/api/health/module/auth-core"]


def raw(harness, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes to the socket as they are; return status, headers and body of the first answer."""
    with socket.create_connection(("127.0.0.1", harness.product.port), timeout=10) as link:
        link.sendall(request)
        received = b""
        while piece := link.recv(65_536):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    return int(first.split()[1]), {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}, body


def get(path: str, *headers: str, host: str = HOSTS["product"]) -> bytes:
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunks(size):
    for _ in range(0, size, 65_536):
        yield b" " * 65_536


def test_an_oversized_body_is_refused_with_or_without_its_length(harness):
    with_length = harness.product.call("POST", LOGIN, headers=JSON, content=b" " * (LIMIT + 1))
    chunked = harness.product.call("POST", LOGIN, headers=JSON, content=chunks(2 * LIMIT))

    assert [(answer.status_code, answer.json()["code"]) for answer in (with_length, chunked)] == [
        (413, "too_large")
    ] * 2


def test_a_body_in_pieces_is_read_like_any_other(harness, customer):
    body = json.dumps({"email": customer["email"], "password": "correct horse battery staple"}).encode()

    answer = harness.product.call("POST", LOGIN, headers=JSON, content=iter([body[:9], body[9:]]))

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (get("/health?" + "a=1&" * 1200), 414),
        (get("/" + "a" * 8192), 414),
        (get("/health", "X-Long: " + "a" * 16_384), 431),
        (get("/api/health", "Host: api.example.com"), 400),
        (get("/api/health", host="evil.example"), 400),
        (get("/api/health", host="api.example.com:80:80"), 400),
        (get("/api/health", host="$nonsense"), 400),
        (get("http://evil.example/health", host="api.example.com"), 400),
        (b"TRACE /health HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n", 405),
    ],
    ids=["1200 parameters", "8 KB of path", "16 KB of header", "two hosts", "another host", "ports", "$",
         "another absolute address", "TRACE"],
)  # fmt: skip
def test_a_malformed_request_is_refused_as_a_problem(harness, request_bytes, status):
    found, headers, body = raw(harness, request_bytes)

    assert found == status
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(body)["status"] == status
    assert headers["x-request-id"] == json.loads(body)["request_id"]


def resident_bytes(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def test_two_hundred_oversize_requests_leave_no_memory_behind(harness):
    def memory():
        children = (
            Path(f"/proc/{harness.product.process.pid}/task/{harness.product.process.pid}/children").read_text().split()
        )
        return sum(resident_bytes(int(child)) for child in children)

    def refused():
        link = HTTPConnection("127.0.0.1", harness.product.port, timeout=10)
        link.request("POST", "/api/auth/login", body=b" " * (LIMIT + 1), headers={"Host": HOSTS["product"]})
        status = link.getresponse().status
        link.close()
        return status

    assert {refused() for _ in range(20)} == {413}
    before = memory()
    assert {refused() for _ in range(200)} == {413}

    assert memory() - before < 20 * 2**20


def too_many_registrations(harness):
    answers = (harness.product.call("POST", "/api/auth/register", {}, address="192.0.2.9") for _ in range(9))
    return next(answer for answer in answers if answer.status_code == 429)


def without_database(harness, token):
    harness.database.mode = Mode.REFUSE
    return harness.product.call("GET", "/api/auth/me", token=token)


REQUESTS = {
    200: lambda harness, token: harness.product.call("GET", ME, token=token),
    401: lambda harness, token: harness.product.call("GET", ME),
    403: lambda harness, token: harness.product.call("POST", LOGIN, {}, headers={"Origin": "https://evil.example"}),
    404: lambda harness, token: harness.product.call("GET", "/api/nothing"),
    405: lambda harness, token: harness.product.call("DELETE", ME, token=token),
    413: lambda harness, token: harness.product.call("POST", LOGIN, headers=JSON, content=b" " * (LIMIT + 1)),
    415: lambda harness, token: harness.product.call("POST", LOGIN, content=b"a=b"),
    422: lambda harness, token: harness.product.call("POST", LOGIN, {"email": 1}),
    429: lambda harness, token: too_many_registrations(harness),
    503: without_database,
}


@pytest.mark.parametrize("status", REQUESTS)
def test_every_class_of_answer_has_the_headers_of_production(harness, customer, status):
    answer = REQUESTS[status](harness, customer["access_token"])

    headers = answer.headers
    assert answer.status_code == status
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Type"].startswith(("application/json", "application/problem+json"))
    assert headers["Server"] == ""
    assert "X-Powered-By" not in headers


def test_forwarded_headers_of_a_stranger_are_not_believed(harness):
    page = {"headers": {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}}

    assert harness.product.call("GET", "/health", **page).status_code == 200  # and no other host


@pytest.mark.parametrize("path", INTERNALS)
def test_internal_endpoints_are_hidden_from_strangers(harness, path):
    key = harness.environment["INTERNALS_TOKEN"]

    assert harness.product.call("GET", path).status_code == 404
    assert harness.product.call("GET", path, token="guessed").status_code == 404
    assert harness.product.call("GET", path, token=key).status_code == 200


def test_health_shows_its_four_fields_to_anyone(harness):
    assert set(harness.product.call("GET", "/health").json()) == {"status", "service", "version", "uptime_seconds"}


def test_behind_a_socket_without_a_trusted_proxy_it_does_not_start(harness):
    environment = production_environment(
        harness.folder, database=harness.postgres.url(DATABASE), redis=f"redis://127.0.0.1:{harness.redis.port}/0"
    )
    server = Server(
        "product",
        {**environment, "TRUSTED_PROXY_CIDRS": "10.0.0.0/8"},
        harness.folder / "socket.log",
        bind="unix:socket",
    )

    with killed_on_exit(server):
        assert server.process.wait(timeout=30) != 0
    assert "TRUSTED_PROXY_CIDRS=unix must be set" in server.text


def test_each_request_is_a_json_log_line_without_its_query(harness):
    answer = harness.product.call(
        "GET", "/api/nothing?token=sentinel-in-the-query", headers={"X-Request-ID": "in-the-log"}
    )

    assert answer.status_code == 404
    lines = [json.loads(line) for line in harness.product.text.splitlines() if line.startswith("{")]
    mine = [line for line in lines if line["request_id"] == "in-the-log"]
    assert [(line["event"], line["path"], line["status"], line["service"]) for line in mine] == [
        ("request", "/api/nothing", 404, "product")
    ]
    assert "sentinel-in-the-query" not in harness.product.text
