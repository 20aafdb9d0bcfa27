"""What never reaches Django is answered in the services' manner, too."""

import json
import socket
import socketserver

import pytest

from saas.testing.servers.in_thread import served_in_thread
from saas.testing.servers.stack import free_ports


@pytest.fixture
def address():
    from django.core.wsgi import get_wsgi_application

    from saas.server.development_server import RequestHandler, Server

    threaded = type("Threaded", (socketserver.ThreadingMixIn, Server), {"daemon_threads": True})  # as runserver does it
    server = threaded(("127.0.0.1", free_ports(1)), RequestHandler)
    server.set_app(get_wsgi_application())
    with served_in_thread(server):
        yield server.server_address


def answer_to(address: tuple[str, int], raw: bytes) -> tuple[int, dict[str, str], bytes]:
    with socket.create_connection(address, timeout=5) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in lines), body


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /health HTTP/1.1\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(200)) + b"\r\n", 431),
        (b"GET /health HTTP/3.7\r\n\r\n", 505),
        (b"nonsense\r\n\r\n", 400),
    ],
)
def test_what_is_no_http_is_answered_with_a_problem_document(address, raw: bytes, status: int) -> None:
    code, headers, body = answer_to(address, raw)

    assert (code, headers["Content-Type"]) == (status, "application/problem+json")
    document = json.loads(body)
    assert (document["status"], document["request_id"]) == (status, headers["X-Request-ID"])


def test_no_answer_tells_what_the_server_is_made_of(address) -> None:
    code, headers, _ = answer_to(address, b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

    assert code == 200
    assert "Server" not in headers


def test_a_header_with_an_underscore_does_not_pass_for_one_with_a_dash(address) -> None:
    request = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%b: mine\r\n\r\n"

    told = [answer_to(address, request % name)[1]["X-Request-ID"] for name in (b"X-Request-ID", b"X_Request_ID")]

    assert [request_id == "mine" for request_id in told] == [True, False]


CHUNKED = b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "lengths",
    [
        b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 1\r\nContent-Length: 2\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: +1\r\n",
    ],
)
def test_a_body_of_ambiguous_length_is_refused_and_nothing_read_after_it(address, lengths: bytes) -> None:
    smuggled = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"

    code, headers, body = answer_to(address, b"POST /health HTTP/1.1\r\nHost: x\r\n" + lengths + b"\r\n" + smuggled)

    assert (code, headers["Connection"]) == (400, "close")
    assert json.loads(body)["status"] == 400


def test_an_unread_chunked_body_is_drained_and_the_connection_stays_open(address) -> None:
    following = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    with socket.create_connection(address, timeout=5) as connection:
        connection.sendall(CHUNKED + b"5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: x\r\n\r\n" + following)
        received = b"".join(iter(lambda: connection.recv(65536), b""))

    assert received.count(b"HTTP/1.1 ") == 2
    assert b'"service": "product"' in received or b'"service":"product"' in received


@pytest.mark.parametrize("chunks", [b"x\r\nhello\r\n", b"2\r\nhello\r\n0\r\n\r\n", b"-5\r\nhello\r\n"])
def test_chunks_that_are_none_end_the_connection(address, chunks: bytes) -> None:
    with socket.create_connection(address, timeout=5) as connection:
        connection.sendall(CHUNKED + chunks + b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = b"".join(iter(lambda: connection.recv(65536), b""))

    assert received.count(b"HTTP/1.1 ") == 1


def test_a_client_that_sends_far_too_much_receives_the_refusal(address) -> None:
    body = b"x" * 12_000_000
    head = b"POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)

    code, _, _ = answer_to(address, head + body)

    assert code == 413
