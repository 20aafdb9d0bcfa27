"""``METRICS_BIND``: metrics on an address of their own."""

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from saas.api.metrics import listener
from saas.testing.servers.stack import free_ports

TOKEN = "a token of internals, of thirty-two bytes"


def wait_for(ask: Callable[[], Any], seconds: float) -> Any:
    """Ask until it is answered: the listener starts in a thread."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise


def ask(path: str = "/metrics", method: str = "GET", authorization: str = "") -> tuple[str, bytes]:
    told: list[Any] = []
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "HTTP_AUTHORIZATION": authorization}
    body = b"".join(listener.application(environ, lambda status, headers: told.append(status)))
    return told[0], body


@pytest.mark.parametrize("bind", ["127.0.0.1:9090", "[::1]:9090", "localhost:9090"])
def test_on_a_loopback_address_nobody_is_asked_for_a_token(settings, db, bind: str) -> None:
    settings.METRICS_BIND = bind

    status, body = ask()

    assert status == "200 OK"
    assert b"# TYPE http_requests_total counter" in body
    assert b"# TYPE heartbeat_age_seconds gauge" in body


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("", "404 Not Found"),
        (f"Bearer {TOKEN}", "200 OK"),
        (f"Bearer {TOKEN}x", "404 Not Found"),
        (TOKEN, "404 Not Found"),
    ],
)
def test_on_another_address_only_the_token_opens_it(settings, db, authorization: str, status: str) -> None:
    settings.METRICS_BIND, settings.INTERNALS_TOKEN = "0.0.0.0:9090", TOKEN

    assert ask(authorization=authorization)[0] == status


def test_without_a_token_another_address_stays_closed(settings, db) -> None:
    settings.METRICS_BIND, settings.INTERNALS_TOKEN = "10.0.0.1:9090", ""

    assert ask(authorization="Bearer ") == ("404 Not Found", b"Not found.\n")


@pytest.mark.parametrize(("path", "method"), [("/", "GET"), ("/metrics/", "GET"), ("/metrics", "POST")])
def test_there_is_nothing_else(settings, db, path: str, method: str) -> None:
    settings.METRICS_BIND = "127.0.0.1:9090"

    assert ask(path, method)[0] == "404 Not Found"


def has_ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_any_host_name_is_answered(settings, host: str) -> None:
    if host == "[::1]" and not has_ipv6_loopback():
        pytest.skip("this machine has no IPv6")
    port = free_ports(1)
    settings.METRICS_BIND = f"{host}:{port}"
    listener.listen_permanently(settings.METRICS_BIND)
    asked = urllib.request.Request(f"http://{host}:{port}/metrics", headers={"Host": "10.1.2.3:9090"})

    answer = wait_for(lambda: urllib.request.urlopen(asked, timeout=10), seconds=10)

    assert answer.status == 200


def test_an_address_that_this_machine_does_not_have_is_told(monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    class TriedOnce(Exception):
        pass

    def end(seconds: float) -> None:
        raise TriedOnce(seconds)

    monkeypatch.setattr(listener.time, "sleep", end)

    with pytest.raises(TriedOnce, match=str(listener.RETRY_AFTER_ERROR_SECONDS)):
        listener._listen("203.0.113.1:9090")

    assert "metrics_do_not_listen: 203.0.113.1:9090: " in caplog.text
