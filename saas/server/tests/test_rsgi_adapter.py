"""Django behind granian's RSGI: what reaches it, what is refused before, and what a client gets."""

import asyncio
import json
import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.http import StreamingHttpResponse
from granian.rsgi import ProtocolClosed

from saas.operations import draining
from saas.server import request_body, responses
from saas.server import rsgi_adapter as bridges
from saas.server.deadline import Deadline
from saas.server.request_head import is_too_large
from saas.server.rsgi_adapter import RSGIAdapter
from saas.testing.servers.rsgi import RsgiProtocol, RsgiScope

LIMIT = 1_048_576


def asked(bridge, pieces=(b"",), path="/api/webhooks/stripe", method="POST", **environ):
    """The answer to a request by a client that knows no WSGI."""
    return bridge.send_chunks(bridge._base_environ(PATH_INFO=path, REQUEST_METHOD=method, **environ), [*pieces])


def header(answer, name):
    return dict(answer.headers).get(name)


def problem(answer):
    return answer.status, json.loads(answer.body)["code"]


# ── What is refused before a body is read ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"method": "CONNECT"}, (400, "malformed")),
        ({"authority": "evil.example"}, (400, "malformed")),
        ({"path": "/" + "a" * 4_094}, (414, "address_too_long")),
        ({"query_string": "a" * 4_094}, (414, "address_too_long")),
        ({"path": "/api/\ufffd"}, (400, "malformed")),
    ],
)
def test_a_target_that_two_could_understand_in_two_ways(bridge, changes, expected):
    request, answer = RsgiScope(bridge._base_environ(PATH_INFO="/health")), RsgiProtocol([b""])
    for name, value in changes.items():
        setattr(request, name, value)

    asyncio.run(bridge.application.__rsgi__(request, answer))

    assert problem(answer) == expected
    assert header(answer, "connection") == "close"
    assert header(answer, "x-request-id") == json.loads(answer.body)["request_id"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ([("host", "evil.example")], (400, "malformed")),
        ([("content-type", "a/b"), ("content-type", "c/d")], (400, "malformed")),
        ([("expect", "100-continue"), ("expect", "100-continue")], (400, "malformed")),
        ([("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], (400, "malformed")),
        ([("expect", "nonsense")], (417, "expectation_failed")),
        ([("x-long", "a" * 8_191)], (431, "headers_too_large")),
        ([(f"x-{n}", "a" * 8_000) for n in range(5)], (431, "headers_too_large")),
        ([("authorization", "Bearer \u00e9")], (400, "malformed")),
    ],
)
def test_headers_that_two_could_understand_in_two_ways(bridge, more, expected):
    request, answer = RsgiScope(bridge._base_environ(PATH_INFO="/health")), RsgiProtocol([b""])
    request.headers.sent.extend(more)

    asyncio.run(bridge.application.__rsgi__(request, answer))

    assert problem(answer) == expected


@pytest.mark.parametrize(("size", "status"), [(4_094, 404), (4_095, 414)])
def test_the_limit_of_an_address_holds_to_the_byte(bridge, size, status):
    assert asked(bridge, path="/" + "a" * (size - 3), method="GET", QUERY_STRING="bb").status == status


@pytest.mark.parametrize(("size", "is_refused"), [(32_768, False), (32_769, True)])
def test_names_and_values_of_all_headers_count_to_the_byte(size, is_refused):
    headers = [(f"x-{number:06}", "a" * 8_184) for number in range(3)]
    last = size - 3 * (8 + 8_184) - 8

    assert is_too_large([*headers, ("x-000003", "a" * last)]) is is_refused


@pytest.mark.parametrize(
    "more",
    [
        [("expect", "100-continue")],
        [("user-agent", "caf\u00e9")],
        [("x-long", "a" * 8_190)],
        [("accept", "text/csv"), ("accept", "application/json")],
    ],
)
def test_headers_that_are_unusual_and_plain_pass(bridge, more):
    request, answer = RsgiScope(bridge._base_environ(PATH_INFO="/health")), RsgiProtocol([b""])
    request.headers.sent.extend(more)

    asyncio.run(bridge.application.__rsgi__(request, answer))

    assert answer.status == 200


@pytest.mark.parametrize(
    ("version", "method", "path", "status"),
    [
        ("1", "GET", "/health", 200),
        ("1", "GET", "/docs", 400),
        ("1", "POST", "/health", 400),
        ("1.1", "GET", "/health", 400),
    ],
)
def test_without_a_host_only_an_old_probe_is_answered(bridge, version, method, path, status):
    request, answer = RsgiScope(bridge._base_environ(PATH_INFO=path, REQUEST_METHOD=method)), RsgiProtocol([b""])
    request.http_version = version
    request.headers.sent = [(name, value) for name, value in request.headers.sent if name != "host"]

    asyncio.run(bridge.application.__rsgi__(request, answer))

    assert answer.status == status


# ── Bodies ───────────────────────────────────────────────────────────────────────────────────────────────────────────

CHUNKED = {"HTTP_TRANSFER_ENCODING": "chunked"}


@pytest.mark.parametrize(
    ("pieces", "sent"),
    [
        ([b"{", b""], {"CONTENT_LENGTH": "2"}),
        ([b"{}", b"", b""], CHUNKED),
        ([b"", b""], CHUNKED),
    ],
    ids=["shorter than it said", "aborted, or with trailers", "aborted at once"],
)
def test_a_body_that_breaks_off_is_refused(bridge, pieces, sent):
    answer = asked(bridge, pieces, **sent)

    assert problem(answer) == (400, "malformed")
    assert header(answer, "connection") == "close"


@pytest.mark.parametrize(
    ("pieces", "sent"), [([b"{}"], {"CONTENT_LENGTH": "2"}), ([b"{", b"}", b""], CHUNKED), ([b""], CHUNKED)]
)
def test_a_whole_body_reaches_django(bridge, pieces, sent):
    answer = asked(bridge, pieces, **sent)

    assert problem(answer) == (400, "unreadable_event")
    assert header(answer, "connection") is None


def test_a_body_that_stops_coming_is_refused_after_a_while(bridge, monkeypatch):
    monkeypatch.setattr(request_body, "BODY_TIMEOUT_SECONDS", 0.01)

    answer = asked(bridge, [b"{", None], CONTENT_LENGTH="2")

    assert problem(answer) == (408, "timed_out")
    assert header(answer, "connection") == "close"


@pytest.mark.parametrize(("extra", "status"), [(0, 400), (1, 413)])
@pytest.mark.parametrize("is_told", [True, False])
def test_the_limit_of_a_body_holds_to_the_byte(bridge, extra, status, is_told):
    size = LIMIT + extra
    pieces = [b" " * 65_536] * 16 + [b" " * extra] * bool(extra)

    answer = asked(bridge, [*pieces, b""], **({"CONTENT_LENGTH": str(size)} if is_told else CHUNKED))

    assert answer.status == status


def test_a_body_too_large_is_not_waited_for_for_ever(bridge, monkeypatch):
    monkeypatch.setattr(request_body, "DISCARD_SECONDS", 0.01)

    assert asked(bridge, [b"x", None], CONTENT_LENGTH=str(LIMIT + 1)).status == 413


@pytest.mark.parametrize(("expect", "left"), [({"HTTP_EXPECT": "100-continue"}, 6), ({}, 3)])
def test_of_a_body_too_large_some_is_read_unless_the_client_asks_first(bridge, monkeypatch, expect, left):
    monkeypatch.setattr(request_body, "MAX_DISCARDED_BYTES", 25)
    pieces = [b"x" * 10] * 6
    environ = bridge._base_environ(PATH_INFO="/x", REQUEST_METHOD="POST", CONTENT_LENGTH=str(LIMIT + 1), **expect)

    assert bridge.send_chunks(environ, pieces).status == 413
    assert len(pieces) == left


def test_a_task_whose_deadline_has_passed_is_not_cancelled_for_ever():
    async def main():
        with pytest.raises(TimeoutError), Deadline(0.0):
            await asyncio.Event().wait()
        return asyncio.current_task().cancelling()

    assert asyncio.run(main()) == 0


def test_all_bodies_together_hold_no_more_than_there_is_room_for(bridge, monkeypatch):
    monkeypatch.setattr(request_body, "MAX_BODY_BYTES_IN_PROCESS", 3)

    full = asked(bridge, [b"1234"], CONTENT_LENGTH="4")
    fitting = [asked(bridge, [b"123"], CONTENT_LENGTH="3").status for _ in range(3)]

    assert (problem(full), header(full, "retry-after")) == ((503, "unavailable"), "1")
    assert fitting == [400] * 3


def test_chunked_bodies_count_as_well_and_what_broke_off_counts_no_longer(bridge, monkeypatch):
    monkeypatch.setattr(request_body, "MAX_BODY_BYTES_IN_PROCESS", 3)

    full = asked(bridge, [b"12", b"34", b""], **CHUNKED)
    broken_off = [asked(bridge, [b"123", b"", b""], **CHUNKED).status for _ in range(2)]
    fitting = [asked(bridge, [b"123", b""], **CHUNKED) for _ in range(2)]

    assert problem(full) == (503, "unavailable")
    assert broken_off == [400] * 2
    assert [problem(answer)[1] for answer in fitting] == ["unreadable_event"] * 2


def test_a_client_that_leaves_in_its_body_is_no_error_of_ours(bridge, monkeypatch):
    async def leave(protocol):
        raise ProtocolClosed

    monkeypatch.setattr(RsgiProtocol, "__call__", leave)

    assert problem(asked(bridge, [b"{}"], CONTENT_LENGTH="2")) == (400, "malformed")


# ── What Django is told ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def environ():
    """What the application behind the bridge was told of the last request."""
    seen = {}

    def application(environ, start_response):
        seen.update(environ)
        start_response("200 OK", [("Content-Type", "text/plain"), ("Server", "secret/1.0"), ("Connection", "upgrade")])
        return [b"ok"]

    bridge = RSGIAdapter(application, threads=2)

    def ask(changes=None, headers=(), pieces=(b"",), **variables):
        request = RsgiScope({**BASE, **variables})
        for name, value in (changes or {}).items():
            setattr(request, name, value)
        request.headers.sent.extend(headers)
        answer = RsgiProtocol([*pieces])
        with ThreadPoolExecutor(2) as pool:
            bridge.set_executors(pool, reserved=pool)
            asyncio.run(bridge.__rsgi__(request, answer))
        return seen, answer

    return ask


BASE = {
    "REQUEST_METHOD": "GET",
    "PATH_INFO": "/x",
    "REMOTE_ADDR": "203.0.113.7",
    "SERVER_NAME": "api.example.com",
    "SERVER_PORT": "8000",
}


def test_a_header_with_an_underscore_is_no_header(environ):
    seen, _ = environ(headers=[("x_forwarded_for", "198.51.100.1"), ("accept", "a"), ("accept", "b")])

    assert "HTTP_X_FORWARDED_FOR" not in seen
    assert seen["HTTP_ACCEPT"] == "a,b"


def test_cookies_that_come_in_two_headers_stay_two_cookies(environ):
    seen, _ = environ(headers=[("cookie", "a=1"), ("cookie", "b=2")])

    assert seen["HTTP_COOKIE"] == "a=1; b=2"


def test_nothing_of_the_processs_environment_is_told(environ, monkeypatch):
    monkeypatch.setenv("HTTP_AUTHORIZATION", "Bearer secret")

    seen, _ = environ()

    assert "HTTP_AUTHORIZATION" not in seen
    assert "PATH" not in seen


@pytest.mark.parametrize(
    ("client", "address"),
    [("203.0.113.7:40000", "203.0.113.7"), ("[2001:db8::1]:40000", "2001:db8::1"), ("", "")],
)
def test_the_peers_address_has_no_port(environ, client, address):
    assert environ({"client": client})[0]["REMOTE_ADDR"] == address


@pytest.mark.parametrize(
    ("server", "name", "port"),
    [("10.0.0.1:8000", "10.0.0.1", "8000"), ("[::1]:8000", "::1", "8000"), ("/run/saas.sock", "localhost", "80")],
)
def test_the_server_is_told_wherever_it_listens(environ, server, name, port):
    seen, _ = environ({"server": server})

    assert (seen["SERVER_NAME"], seen["SERVER_PORT"]) == (name, port)


def test_a_path_in_any_alphabet_arrives_as_wsgi_wants_it(environ):
    assert environ({"path": "/caf\u00e9"})[0]["PATH_INFO"].encode("latin-1").decode() == "/caf\u00e9"


def test_a_body_has_the_length_that_it_has(environ):
    seen, _ = environ(REQUEST_METHOD="POST", HTTP_TRANSFER_ENCODING="chunked", pieces=[b"ab", b"c", b""])

    assert (seen["CONTENT_LENGTH"], seen["wsgi.input"].read()) == ("3", b"abc")


# ── What goes back ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_response_has_no_server_and_no_connection_header_of_django(environ):
    _, answer = environ()

    assert sorted(answer.headers) == [("content-type", "text/plain"), ("server", "")]


def test_an_upgrade_is_ignored_and_the_connection_closed(environ):
    _, answer = environ(headers=[("upgrade", "h2c")])

    assert (answer.status, header(answer, "connection")) == (200, "close")


def test_while_draining_every_connection_is_closed(environ, monkeypatch):
    monkeypatch.setattr(draining, "is_draining", lambda: True)

    assert header(environ()[1], "connection") == "close"


def streamed(monkeypatch, content):
    """The answer to a GET whose view streams ``content``."""
    response = StreamingHttpResponse(content)

    def application(environ, start_response):
        if make := environ.get(bridges.PREPARED_RESPONSE):
            response_ = make()
            start_response(f"{response_.status_code} x", list(response_.items()))
            return [response_.content]
        start_response("200 OK", [])
        return response

    bridge, answer = RSGIAdapter(application, threads=1), RsgiProtocol([b""])
    with ThreadPoolExecutor(1) as pool:
        bridge.set_executors(pool, reserved=pool)
        asyncio.run(answered(bridge, answer))
    return answer


async def answered(bridge, answer):
    await bridge.__rsgi__(RsgiScope(BASE), answer)
    await asyncio.sleep(0)  # runs the callbacks that the answer has scheduled


@pytest.mark.parametrize("pieces", [1, 16, 17, 40])
def test_a_long_answer_arrives_whole(monkeypatch, tmp_path, pieces):
    monkeypatch.setattr(responses.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(responses, "_FILE_SECONDS", 0.0)
    content = [bytes([n]) * 65_536 for n in range(pieces)]

    assert streamed(monkeypatch, content).body == b"".join(content)
    assert os.listdir(tmp_path) == []


def test_a_response_is_closed_when_it_was_read(monkeypatch):
    closed = []
    monkeypatch.setattr(StreamingHttpResponse, "close", lambda response: closed.append(True))

    streamed(monkeypatch, [b"x"])

    assert closed == [True]


def test_an_answer_to_head_has_the_length_of_that_to_get():
    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", "7")])
        return []

    assert responses.call_wsgi(application, {"REQUEST_METHOD": "HEAD"}).headers == [("content-length", "7")]


def test_an_answer_that_fails_midway_was_never_begun(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(responses.tempfile, "tempdir", str(tmp_path))

    def failing():
        yield b"x" * 2_000_000
        raise RuntimeError("midway")

    with caplog.at_level(logging.CRITICAL, "saas.server.rsgi_adapter"):
        assert problem(streamed(monkeypatch, failing())) == (500, "internal_error")
    assert os.listdir(tmp_path) == []


def test_an_endless_answer_is_refused_and_leaves_no_file(monkeypatch, tmp_path):
    monkeypatch.setattr(responses.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(responses, "MAX_RESPONSE_BYTES", 3_000_000)

    def endless():
        while True:
            yield b"x" * 100_000

    assert problem(streamed(monkeypatch, endless())) == (503, "unavailable")
    assert os.listdir(tmp_path) == []


# ── Threads ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_full_pool_asks_to_come_again_while_probes_are_answered(monkeypatch):
    monkeypatch.setattr(bridges, "THREAD_WAIT_SECONDS", 0.05)
    gate = threading.Event()

    def application(environ, start_response):
        if make := environ.get(bridges.PREPARED_RESPONSE):
            response = make()
            start_response(f"{response.status_code} x", list(response.items()))
            return [response.content]
        if environ["PATH_INFO"] == "/x":
            gate.wait(10)
        start_response("200 OK", [])
        return [b""]

    async def main():
        answers = [RsgiProtocol([b""]) for _ in range(3)]
        requests = [RsgiScope(BASE), RsgiScope(BASE), RsgiScope({**BASE, "PATH_INFO": "/health"})]
        first, *rest = [
            asyncio.create_task(bridge.__rsgi__(request, answer))
            for request, answer in zip(requests, answers, strict=True)
        ]
        await asyncio.gather(*rest)
        gate.set()
        await first
        return answers

    bridge = RSGIAdapter(application, threads=1)
    started = time.monotonic()
    with ThreadPoolExecutor(1) as pool, ThreadPoolExecutor(1) as reserved:
        bridge.set_executors(pool, reserved=reserved)
        slow, refused, probe = asyncio.run(main())

    assert (slow.status, refused.status, probe.status) == (200, 503, 200)
    assert (header(refused, "retry-after"), header(refused, "connection")) == ("1", None)
    assert time.monotonic() - started < 9
