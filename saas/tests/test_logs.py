"""What a log line says."""

import io
import json
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from celery.app.trace import build_tracer
from django.db import transaction

from saas import request_context
from saas.background_tasks import ContextTask
from saas.billing.models import Plan
from saas.celery import app
from saas.logs import ContextFilter, LineFormatter, json_formatter
from saas.security import redaction


def written(name: str, message: str, **extra: object) -> str:
    record = logging.makeLogRecord({"name": name, "msg": message, "levelname": "ERROR", "request_id": "req_1", **extra})
    return LineFormatter().format(record).partition(" ")[2]


def test_a_line_tells_the_fields_that_the_code_gave_with_it() -> None:
    line = written(
        "saas.webhook_events.monitoring.alerts", "webhook_alert", kind="quarantined", what="An event is unreadable."
    )

    assert line == (
        "ERROR   req_1 saas.webhook_events.monitoring.alerts webhook_alert kind='quarantined' what='An event is unreadable.'"
    )


def test_a_field_neither_breaks_the_line_nor_shows_a_card_number() -> None:
    line = written("saas.mail", "mail_failed", what="a\r\nb", number="4242424242424242")

    assert "\n" not in line
    assert "4242424242424242" not in line


def test_the_objects_that_django_gives_with_its_lines_are_left_out() -> None:
    assert written("django.request", "Not Found: /", request=object(), status_code=404) == (
        "ERROR   req_1 django.request Not Found: /"
    )


def as_json(message: str, **extra: object) -> dict[str, object]:
    record = logging.makeLogRecord({"name": "saas.mail", "msg": message, "levelname": "WARNING", **extra})
    ContextFilter().filter(record)
    line = json_formatter().format(record)
    assert "\n" not in line
    return json.loads(line)


def test_in_production_a_log_line_is_json_with_request_user_and_service() -> None:
    with request_context.use_context(request_context.Context("req_1", user_id="usr_1")):
        line = as_json("mail_failed", mail=7, attempt=2)

    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "saas.mail",
        "event": "mail_failed",
        "request_id": "req_1",
        "user": "usr_1",
        "service": "command",
        "mail": 7,
        "attempt": 2,
    }


def test_a_logged_traceback_has_no_secrets() -> None:
    try:
        raise RuntimeError("password='hunter2hunter2' of ada@example.net\r\nSet-Cookie: a=b")
    except RuntimeError:
        line = as_json("crash", exc_info=sys.exc_info())

    assert "RuntimeError" in line["exception"]
    assert "hunter2" not in line["exception"]
    assert "ada@example.net" not in line["exception"]


def test_a_line_break_in_what_a_caller_sent_forges_no_second_line() -> None:
    forged = "/nothing\r\n00:00:00 INFO    - saas forged\x1b[31m\u2028"

    assert as_json("request", path=forged)["path"] == forged
    assert written("saas.api", "request", path=forged).splitlines() == [written("saas.api", "request", path=forged)]


SECRETS = {
    "a header": "Authorization: Bearer abc.DEF-123456789",
    "a refresh token": "rt_" + "aB3-" * 11,
    "a mailed token": "reset_" + "aB3-" * 11,
    "an API key": "sk_live_" + "aB3x" * 11,
    "a web token": "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1c3JfMSJ9.c2lnbmF0dXJl",
    "a signing secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "a private key": "-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n-----END PRIVATE KEY-----",
    "a database URL": "postgres://app:hunter2hunter2@db.internal/saas",
    "a card": "4242 4242 4242 4242",
    "a link": "GET /reset?token=abc123def&x=1 HTTP/1.1",
    "an address": "ada@example.net",
    "a form": "{'email': 'x', 'password': 'hunter2 hunter2', 'otp': '123456'}",
}
TOLD = {"a header": "123456789", "a private key": "MIGHAgEA", "a database URL": "hunter2", "a form": "hunter2"}


@pytest.mark.parametrize("kind", SECRETS)
def test_what_no_log_may_tell_is_taken_out_of_any_text(kind: str) -> None:
    secret = SECRETS[kind]

    told = redaction.redact_text(f"before {secret} after")

    assert TOLD.get(kind, secret.rpartition(" ")[2] if kind != "a link" else "abc123def") not in told
    assert told.startswith("before ")


@pytest.mark.parametrize("harmless", ["usr_01k3abcdefghjkmnpqrstvwxyz", "evt_1", "/api/auth/me", "took 12.5 ms", "a=b"])
def test_what_helps_is_left_as_it_is(harmless: str) -> None:
    assert redaction.redact_text(harmless) == harmless


def test_the_same_address_has_the_same_pseudonym() -> None:
    assert (
        redaction.redact_text("Ada@Example.net")
        == redaction.redact_text("ada@example.net")
        != redaction.redact_text("bob@example.net")
    )


def test_a_secret_is_known_by_its_fields_name_at_any_depth() -> None:
    told = redaction.redact_fields(
        {
            "what": {"Set-Cookie": "abc", "list": [{"mfa_token": "abc"}]},
            "code": "123456",
            "state": "abc",
            "request": {"query_string": "code=4%2F0AX4&state=xyz"},
            "n": 1,
        }
    )

    assert told == {
        "what": {"Set-Cookie": "[redacted]", "list": [{"mfa_token": "[redacted]"}]},
        "code": "[redacted]",
        "state": "[redacted]",
        "request": {"query_string": "[redacted]"},
        "n": 1,
    }


@pytest.mark.parametrize(
    ("number", "is_card"),
    [
        ("4222222222222", True),  # of 13 digits, the fewest
        ("４２２２２２２２２２２２２", True),  # of full width
        ("6304000000000000000", True),  # of 19, the most
        ("４２２２－２２２２－２２２２２", True),
        ("422222222222", False),
        ("4222222222223", False),
        (4222222222222, True),
        (422222222222, False),
        ("63040000000000000000", False),  # of 20
    ],
)
def test_a_card_number_has_13_to_19_digits_as_a_text_or_a_number(number: object, is_card: bool) -> None:
    assert redaction.redact_value(number) == ("[card number]" if is_card else number)


def test_a_task_logs_under_the_request_and_user_that_rang_for_it() -> None:
    seen = []

    class Listening(ContextTask):
        name = "listening"

        def run(self) -> None:
            seen.append(request_context.current())

    task = app.register_task(Listening())
    app.tasks.unregister(task)
    task.push_request(saas_request_id="req_1", saas_user_id="usr_1")
    task()

    assert [(one.request_id, one.user_id) for one in seen] == [("req_1", "usr_1")]


@pytest.mark.django_db
def test_a_crash_in_a_task_is_logged_once_with_its_request_id() -> None:
    class Crashing(ContextTask):
        name = "crashing"

        @transaction.atomic
        def run(self) -> None:
            Plan.objects.update(name="half done")
            raise RuntimeError("password='hunter2hunter2'\r\n00:00:00 INFO    - saas forged")

    names = [*Plan.objects.values_list("name", flat=True)]
    task = app.register_task(Crashing())
    try:
        with captured() as lines:
            outcome = build_tracer(task.name, task, app=app)("1", (), {}, {"saas_request_id": "req_1"})
    finally:
        app.tasks.unregister(task)

    told = [line for line in lines if line["level"] in {"error", "critical"}]
    assert outcome.info.state == "FAILURE"
    assert [(line["event"], line["task"], line["request_id"]) for line in told] == [
        ("task_failed", "crashing", "req_1")
    ]
    assert "hunter2" not in json.dumps(lines)
    assert [*Plan.objects.values_list("name", flat=True)] == names


@contextmanager
def captured() -> Iterator[list[dict[str, object]]]:
    """The lines of everybody who logs, each as production writes it: one line, one object."""
    handler, lines = logging.StreamHandler(io.StringIO()), []
    handler.setFormatter(json_formatter())
    handler.addFilter(ContextFilter())
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
        lines += [json.loads(line) for line in handler.stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    "piece", ["a", "1-", "a.", "a@", "a_", "eyJaaaaaaaaa-", "a://", "?a=b&", "cookie", "password='"]
)
def test_redaction_takes_time_linear_in_the_length_of_a_line(piece: str) -> None:
    """With the square of it, each of these would take minutes."""
    with interrupted_after(seconds=20):
        redaction.redact_text(piece * (200_000 // len(piece)))


@contextmanager
def interrupted_after(seconds: int) -> Iterator[None]:
    def interrupt(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
