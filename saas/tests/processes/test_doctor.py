"""What doctor finds when things are wrong. (``test_up`` asks it about a system that is well.)"""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.utils import timezone

from saas.audit.models import AuditSeal
from saas.management.commands.doctor import CHECKS, REMEDIES
from saas.operations import checks
from saas.operations.models import Heartbeat
from saas.operations.processes import record_service
from saas.operations.tasks import check_invariants
from saas.testing.servers.in_thread import served_in_thread
from saas.testing.servers.stack import SERVICES, free_ports


class Stranger(BaseHTTPRequestHandler):
    """Some other program that speaks HTTP."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status": "ok", "service": "something else"}')

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def stranger() -> Iterator[str]:
    with served_in_thread(HTTPServer(("127.0.0.1", 0), Stranger)) as server:
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.fixture(autouse=True)
def _nothing_runs(settings: Any, db: None) -> None:
    first = free_ports(len(SERVICES))
    settings.SERVICE_BASE_URLS = {name: f"http://127.0.0.1:{first + index}" for index, name in enumerate(SERVICES)}


def doctor(*arguments: str) -> tuple[int, str]:
    """The exit code and what it wrote."""
    out = StringIO()
    try:
        call_command("doctor", *arguments, stdout=out)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


def findings() -> dict[str, Any]:
    code, text = doctor("--json")
    document = json.loads(text)
    assert code == (0 if document["health_percent"] == 100 else 1)
    rows = [*document["services"], *document["checks"]]
    return {row["name"]: (row["ok"], row["detail"]) for row in rows}


def test_services_that_do_not_run_are_named_and_the_exit_code_says_so() -> None:
    code, text = doctor()

    assert code == 1
    assert "✗ Services: 0/4" in text
    assert "  ✗ parity (http://127.0.0.1:" in text
    assert text.splitlines()[-1] == "✗ Health: 66%"  # all but the services, worker and beat


def test_it_looks_where_up_put_the_services() -> None:
    first = free_ports(len(SERVICES))

    code, text = doctor("--port-base", str(first))

    assert code == 1
    assert re.findall(r"^  ✗ (\w+) \(http://localhost:(\d+) does not answer", text, re.MULTILINE) == [
        (name, str(first + index)) for index, name in enumerate(SERVICES)
    ]
    assert f"✓ Ports: {first}, {first + 1}, {first + 2}, {first + 3}\n" in text


def test_another_program_on_a_services_port_is_told_from_a_service(settings: Any, stranger: str) -> None:
    settings.SERVICE_BASE_URLS = {**settings.SERVICE_BASE_URLS, "webhooks": stranger}

    found = findings()

    port = stranger.rpartition(":")[2]
    assert found["webhooks"] == (False, f"{stranger} is answered by something else")
    assert found["ports"] == (False, f"taken by another program: {port} (webhooks)")


def test_each_red_line_says_what_to_do() -> None:
    _, text = doctor()

    lines = text.splitlines()
    red = [index for index, line in enumerate(lines) if line.lstrip().startswith("✗") and "Health" not in line]
    assert [lines[index + 1].startswith("    → ") for index in red if "Services:" not in lines[index]] == [True] * 6
    assert "    → run python3 manage.py worker; under `up` read the lines labelled worker" in lines


def test_only_a_process_of_this_var_folder_is_called_ours(settings: Any, stranger: str, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path
    settings.SERVICE_BASE_URLS = {"something else": stranger}

    (theirs,) = json.loads(doctor("--json")[1])["services"]
    record_service(tmp_path, service="something else", port=int(stranger.rpartition(":")[2]))
    (ours,) = json.loads(doctor("--json")[1])["services"]

    assert theirs["detail"] == f"{stranger} is answered by another copy: none of {tmp_path} runs there"
    assert ours["detail"] == f"{stranger} is answered by something else"  # it has no modules


def test_every_check_has_a_remedy() -> None:
    assert REMEDIES.keys() == {*CHECKS, "Ports"}


def test_a_worker_counts_as_alive_for_25_seconds_after_a_heartbeat() -> None:
    with time_machine.travel(timezone.now(), tick=False):
        for name, seconds in (("worker", 25), ("beat", 26)):
            Heartbeat.objects.create(name=name, at=timezone.now() - timedelta(seconds=seconds))

        found = findings()

    assert found["worker"][0] is True
    assert found["beat"] == (False, "last heartbeat 26 s ago")


def test_secrets_that_others_may_read_are_named(settings: Any, tmp_path: Any) -> None:
    settings.DEVELOPMENT_SECRETS = tmp_path
    (tmp_path / "secret_key").touch(mode=0o600)
    assert checks.secrets_protection() == f"development, in {tmp_path}"

    (tmp_path / "secret_key").chmod(0o640)

    assert findings()["secrets"] == (False, "other accounts of this machine can read secret_key")


def test_one_secret_for_two_purposes_is_refused(settings: Any) -> None:
    settings.SESSION_SECRET = settings.SECRET_KEY

    assert findings()["secrets"] == (False, "two are the same, or one is too short")


def test_a_mail_server_that_is_away_is_found(settings: Any) -> None:
    settings.EMAIL_BACKEND = "saas.mail.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_ports(1)

    assert findings()["mail"][0] is False


def test_a_broker_that_is_away_is_found(settings: Any) -> None:
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_ports(1)}/0"
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5}

    assert findings()["broker"][0] is False


@pytest.mark.postgres
@pytest.mark.parametrize(("seconds", "said"), [(-30, "ahead of"), (30, "behind")])
def test_a_database_clock_that_is_off_is_found(seconds: int, said: str) -> None:
    with time_machine.travel(timezone.now() + timedelta(seconds=seconds), tick=False):
        ok, detail = findings()["clock"]

    assert not ok
    assert re.fullmatch(rf"the database's clock is (29|30)\.\d s {said} this machine's", detail)


def test_production_without_a_trusted_proxy_is_found(settings: Any) -> None:
    settings.PRODUCTION = True

    assert findings()["proxies"][0] is False


def test_an_audit_trail_that_was_changed_is_found() -> None:
    AuditSeal.objects.create(number=1, event_id=1, digest="0" * 64)

    assert findings()["audit"] == (False, "Event 1 is gone (link 1).")


def test_a_row_that_is_not_as_it_must_be_is_found_by_doctor_and_at_night(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def sums() -> list[str]:
        """A sum is the sum of its parts."""
        return ["row_1", "row_2"]

    monkeypatch.setattr("saas.operations.invariants._invariants", {"demo.sums": sums})

    assert findings()["business"] == (False, "demo.sums: row_1 (A sum is the sum of its parts.) and 1 more")
    check_invariants()
    assert [record.subject for record in caplog.records if record.msg == "invariant_broken"] == ["row_1", "row_2"]
