"""Errors and traces leave only where a setting says so, and without secrets."""

import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.conf import settings
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from saas.testing.servers.in_thread import served_in_thread

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

REQUEST = """
import django
django.setup()
from django.test import Client
from opentelemetry import trace
answer = Client(headers={"Host": "localhost"}).get("/api/no-such-page?token=hunter2", headers={"X-Request-ID": "req_asked"})
trace.get_tracer_provider().force_flush()
"""
MAIL = """
import django
django.setup()
from django.core.management import call_command
from opentelemetry import trace
call_command("migrate", verbosity=0)
from saas import request_context
from saas.mail.actions import queue_mail
from saas.mail.tasks import sweep
with request_context.use_context(request_context.Context("req_asked")):
    sweep.delay()
    queue_mail("welcome", to="ada@example.net", context={"name": "Ada"}, dedupe_key="1")
sweep.apply()
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
    with served_in_thread(HTTPServer(("127.0.0.1", 0), Collector)) as server:
        yield server


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


def test_a_request_is_a_span_of_its_service_with_its_request_id(tmp_path, collector: HTTPServer) -> None:
    run(REQUEST, tmp_path, OTEL_ENDPOINT=f"http://127.0.0.1:{collector.server_port}/v1/traces", SAAS_PROCESS="service")

    (span,) = spans()
    assert (span["service.name"], span["request_id"]) == ("product", "req_asked")
    assert "hunter2" not in str(span)


def test_tasks_and_mails_are_spans_of_the_worker_with_the_request_id_of_who_sent_them(
    tmp_path, collector: HTTPServer
) -> None:
    run(MAIL, tmp_path, OTEL_ENDPOINT=f"http://127.0.0.1:{collector.server_port}/v1/traces", SAAS_PROCESS="worker")

    found = {span["name"]: span for span in spans()}
    task, mail, sent = (
        found["run/saas.mail.tasks.sweep"],
        found["mail.send"],
        found["apply_async/saas.mail.tasks.sweep"],
    )
    assert {task["service.name"], mail["service.name"]} == {"worker"}
    assert task["request_id"].startswith("req_")
    assert {mail["request_id"], sent["request_id"]} == {"req_asked"}
    assert (mail["parent"], mail["mail"]) == (task["id"], 1)


def spans() -> list[dict[str, Any]]:
    """What the collector got: of each span its name, id, parent, and attributes with those of its process."""
    return [
        {
            **_attributes(process.resource),
            **_attributes(span),
            "name": span.name,
            "id": span.span_id,
            "parent": span.parent_span_id,
        }
        for _, body in Collector.received
        for process in ExportTraceServiceRequest.FromString(_plain(body)).resource_spans
        for scope in process.scope_spans
        for span in scope.spans
    ]


def _attributes(of: Any) -> dict[str, Any]:
    return {entry.key: entry.value.string_value or entry.value.int_value for entry in of.attributes}


def _plain(body: bytes) -> bytes:
    import gzip

    return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
