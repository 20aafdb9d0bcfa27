"""Errors and traces leave only where a setting says so, and without secrets."""

import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from django.conf import settings

STARTED = "import django, sys; django.setup(); print('sentry_sdk' in sys.modules, 'opentelemetry.exporter.otlp' in sys.modules)"
CRASH = """
import django, logging
django.setup()
import sentry_sdk
from opentelemetry import trace
with trace.get_tracer("test").start_as_current_span("work"):
    try:
        raise RuntimeError("password='hunter2hunter2' of ada@example.net")
    except RuntimeError as error:
        sentry_sdk.capture_exception(error)
sentry_sdk.flush(5)
trace.get_tracer_provider().force_flush()
"""


class Collector(BaseHTTPRequestHandler):
    received: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        self.received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[HTTPServer]:
    Collector.received = []
    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def run(code: str, tmp_path, **environment: str) -> str:
    told = {
        "SAAS_ENV": "test",
        "SAAS_VAR_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "saas.settings.product",
        **environment,
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=settings.BASE_DIR,
        env=told,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_a_setting_neither_is_imported(tmp_path) -> None:
    assert run(STARTED, tmp_path) == "False False\n"


def test_an_error_and_a_trace_are_sent_without_the_secret(tmp_path, collector: HTTPServer) -> None:
    port = collector.server_port

    run(
        CRASH, tmp_path, SENTRY_DSN=f"http://key@127.0.0.1:{port}/1", OTEL_ENDPOINT=f"http://127.0.0.1:{port}/v1/traces"
    )

    paths = {path for path, _ in Collector.received}
    assert {"/api/1/envelope/", "/v1/traces"} <= paths
    reported = b"".join(_plain(body) for path, body in Collector.received if path != "/v1/traces")
    assert b"RuntimeError" in reported
    assert b"hunter2" not in reported
    assert b"ada@example.net" not in reported


def _plain(body: bytes) -> bytes:
    import gzip

    return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
