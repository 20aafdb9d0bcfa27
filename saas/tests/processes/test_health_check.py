"""The image's HEALTHCHECK: it asks where the container's command listens, and nothing of those that answer nothing."""

import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Thread

import pytest

from saas.server.health_check import container_command, is_healthy
from saas.testing.servers.stack import free_ports

SERVE = ["python", "manage.py", "serve", "product"]


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass

    def address_string(self) -> str:
        return ""


@contextmanager
def answering(server: socketserver.BaseServer) -> Iterator[None]:
    with server:
        Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        yield
        server.shutdown()


@pytest.mark.parametrize(
    ("listens", "bind", "options"),
    [
        ("127.0.0.1", "0.0.0.0:{port}", []),
        ("127.0.0.1", '"0.0.0.0:{port}"', []),
        ("127.0.0.1", ":{port}", []),
        ("127.0.0.1", "[::]:{port}", []),
        ("127.0.0.2", "127.0.0.2:{port}", []),
        ("127.0.0.1", "0.0.0.0:9", ["--port", "{port}"]),
        ("127.0.0.1", "unix:/run/saas.sock", ["--port={port}", "--workers=1"]),
    ],
)
def test_a_service_is_asked_where_it_listens(
    listens: str, bind: str, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = socketserver.TCPServer((listens, 0), Healthy)
    port = server.server_address[1]
    monkeypatch.setenv("BIND", bind.format(port=port))
    command = [*SERVE, *(option.format(port=port) for option in options), ""]

    with answering(server):
        assert is_healthy(command) is True
    assert is_healthy(command) is False


def test_a_service_on_a_socket_of_the_machine_is_asked_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIND", f"unix:{tmp_path / 'saas.sock'}")

    with answering(socketserver.UnixStreamServer(str(tmp_path / "saas.sock"), Healthy)):
        assert is_healthy(SERVE) is True
    assert is_healthy(SERVE) is False


@pytest.mark.parametrize(
    "command",
    [
        ["/venv/bin/python", "/venv/bin/celery", "-A", "saas", "worker", "--concurrency=4"],
        ["/sbin/docker-init", "--", "celery", "-A", "saas", "beat"],
        ["/venv/bin/python", "-m", "celery", "-A", "saas", "--workdir=/app", "worker"],
        ["python", "manage.py", "webhook_worker", "--poll"],
    ],
)
def test_a_worker_or_beat_answers_nothing_and_is_healthy_while_it_runs(
    command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIND", f"127.0.0.1:{free_ports(1)}")

    assert is_healthy(command) is True


def test_a_container_whose_command_cannot_be_read_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", refuse)

    assert container_command() == []
