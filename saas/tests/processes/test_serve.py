"""``manage.py serve``: what it refuses, and how it and its workers live and end."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import httpx
import pytest
from django.conf import settings
from django.db import connection

from saas.operations.processes import is_process_alive
from saas.testing.factories.event_factories import event, json_bytes, signature_headers
from saas.testing.servers.stack import eventually, free_ports
from saas.webhook_events.models import WebhookEvent

pytestmark = [pytest.mark.slow]
STRIPE = "/api/webhooks/stripe"


def environment(var_dir, **more):
    known = {name: value for name, value in os.environ.items() if name not in {"DJANGO_SETTINGS_MODULE", "BIND"}}
    return {**known, "SAAS_ENV": "test", "SAAS_VAR_DIR": str(var_dir), "DRAIN_SECONDS": "0", **more}


def run(var_dir, *arguments, **more):
    """A start that is expected to fail: its exit code and what it said."""
    done = subprocess.run(
        [sys.executable, "manage.py", "serve", *arguments],
        cwd=settings.BASE_DIR,
        env=environment(var_dir, **more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@contextmanager
def served(var_dir, *arguments, command="serve", workers=1, **more):
    """Yields the process and its URL."""
    port = free_ports(1)
    how = [f"--port={port}", f"--workers={workers}"] if command == "serve" else [str(port), "--noreload"]
    process = subprocess.Popen(
        [sys.executable, "manage.py", command, *arguments, *how],
        cwd=settings.BASE_DIR,
        env=environment(var_dir, **more),
        start_new_session=True,
    )
    try:
        eventually(lambda: listens(port), 60)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        for pid in [process.pid, *children(process.pid)]:
            if is_process_alive(pid):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def children(pid):
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


# ── What it refuses ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "more", "sentence"),
    [
        ([], {}, "required: service"),
        (["shop"], {}, "invalid choice: 'shop'"),
        (["product", "--port", "0"], {}, "'0' is not a port: name one from 1 to 65535"),
        (["product", "--port", "65536"], {}, "'65536' is not a port"),
        (["product", "--workers", "0"], {}, "'0' is not a number from 1 to 1000"),
        (["product"], {"BIND": "localhost:http"}, "BIND must be host:port or unix:/path"),
        (["product"], {"WEB_CONCURRENCY": "two"}, "WEB_CONCURRENCY: 'two' is not a number"),
        (["product"], {"WEB_THREADS": "0"}, "WEB_THREADS: '0' is not a number"),
        (["product"], {"DRAIN_SECONDS": "-1"}, "DRAIN_SECONDS: '-1' is not a number of seconds"),
        (["product"], {"BIND": "unix:/tmp/x", "SAAS_ENV": "production"}, "TRUSTED_PROXY_CIDRS=unix must be set"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(tmp_path, arguments, more, sentence):
    code, said = run(tmp_path, *arguments, **more)

    assert code != 0
    assert sentence in said
    assert "Traceback" not in said


def test_help_shows_its_options(tmp_path):
    done = subprocess.run(
        [sys.executable, "manage.py", "help", "serve"],
        cwd=settings.BASE_DIR, env=environment(tmp_path), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (done.returncode, "--workers" in done.stdout) == (0, True)


def test_a_port_that_is_taken_is_told_instead_of_shared(tmp_path):
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        code, said = run(tmp_path, "product", BIND=f"127.0.0.1:{port}")

    assert (code, said) == (1, f"127.0.0.1:{port} cannot be listened on: Address already in use.\n")


def test_an_application_that_cannot_be_loaded_stops_the_server(tmp_path):
    code, said = run(
        tmp_path, "product", "--workers=2", "--settings=saas.settings.nowhere", BIND=f"127.0.0.1:{free_ports(1)}"
    )

    assert code == 1
    assert said.count("No module named 'saas.settings.nowhere'") == 1


# ── A socket of this machine ─────────────────────────────────────────────────────────────────────────────────────────


def test_it_serves_on_a_socket_that_an_earlier_run_left_behind(tmp_path):
    path = tmp_path / "saas.sock"
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))
    process = subprocess.Popen(
        [sys.executable, "manage.py", "serve", "parity", "--workers=1"],
        cwd=settings.BASE_DIR,
        env=environment(tmp_path, BIND=f"unix:{path}"),
        start_new_session=True,
    )
    try:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://localhost") as client:
            eventually(lambda: is_answered(client), 60)
            assert client.get("/health").json()["service"] == "parity"
    finally:
        process.terminate()
        assert process.wait(30) == 0


def is_answered(client):
    try:
        return client.get("/health").status_code == 200
    except httpx.HTTPError:
        return False


# ── Its life ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def health(url):
    try:
        return httpx.get(f"{url}/health", trust_env=False, timeout=5).status_code
    except httpx.HTTPError:
        return 0


def test_a_worker_that_is_killed_is_replaced_and_ctrl_c_ends_everything(tmp_path):
    with served(tmp_path, "admin_ops", workers=2) as (process, url):
        eventually(lambda: health(url) == 200, 30)
        killed, other = children(process.pid)

        os.kill(killed, signal.SIGKILL)
        eventually(lambda: len(children(process.pid)) == 2 and killed not in children(process.pid), 20)
        eventually(lambda: health(url) == 200, 20)
        assert other in children(process.pid)
        workers = children(process.pid)

        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
        assert process.wait(30) == 0
        assert not any(map(is_process_alive, workers))


def test_workers_do_not_outlive_a_parent_that_was_killed(tmp_path):
    with served(tmp_path, "parity") as (process, url):
        eventually(lambda: health(url) == 200, 30)
        (worker,) = children(process.pid)

        process.kill()
        process.wait()

        eventually(lambda: not is_process_alive(worker), 20)


def test_asked_to_end_while_its_workers_start_it_ends_at_once(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "manage.py", "serve", "product", "--workers=2"],
        cwd=settings.BASE_DIR,
        env=environment(tmp_path, BIND=f"127.0.0.1:{free_ports(1)}"),
        start_new_session=True,
    )
    try:
        eventually(lambda: len(children(process.pid)) == 2)
        process.terminate()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


def test_asked_to_end_it_says_so_answers_on_and_then_ends(tmp_path):
    with served(tmp_path, "product", workers=2, DRAIN_SECONDS="3") as (process, url):
        eventually(lambda: health(url) == 200, 30)
        process.terminate()

        eventually(lambda: ready(url) == (503, "draining"), 2)
        answer = httpx.get(f"{url}/health", trust_env=False)
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert process.wait(30) == 0


def ready(url):
    answer = httpx.get(f"{url}/health/ready", trust_env=False)
    return answer.status_code, answer.json()["status"]


# ── The intake ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def database(db):
    """The test's own, for other processes."""
    url = settings.DATABASE_URL.rpartition("/")[0] + f"/{connection.settings_dict['NAME']}"
    return {"DATABASE_URL": url}


def deliver(url, number):
    body = json_bytes(event(f"evt_{number}"))
    return httpx.post(url + STRIPE, content=body, headers=signature_headers(body), timeout=20, trust_env=False)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_the_intake_reconnects_and_stops_after_its_last_response(tmp_path, database):
    with served(tmp_path, "webhooks", **database) as (process, url):
        eventually(lambda: health(url) == 200, 30)
        assert deliver(url, 1).json() == {"status": "accepted", "event_id": "evt_1"}

        end_every_connection_but_ours()
        assert deliver(url, 2).json() == {"status": "accepted", "event_id": "evt_2"}

        answers = []
        asking = Thread(target=lambda: answers.append(held_up(url, process)))
        asking.start()
        asking.join(20)
        assert process.wait(20) == 0

    assert answers == [202]
    assert set(WebhookEvent.objects.values_list("external_id", flat=True)) == {"evt_1", "evt_2", "evt_3"}


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_the_development_server_finds_it_again_too_and_ends_at_once(tmp_path, database):
    settings_module = {"DJANGO_SETTINGS_MODULE": "saas.settings.webhooks"}
    with served(tmp_path, command="runserver", **database, **settings_module) as (process, url):
        assert deliver(url, 1).json() == {"status": "accepted", "event_id": "evt_1"}
        end_every_connection_but_ours()
        assert deliver(url, 2).json() == {"status": "accepted", "event_id": "evt_2"}

        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def end_every_connection_but_ours():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def held_up(url, process):
    """Deliver with half of the body sent before the process is told to end, and half after."""
    body = json_bytes(event("evt_3"))
    head = f"POST {STRIPE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    head += f"Stripe-Signature: {signature_headers(body)['Stripe-Signature']}\r\n\r\n"
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as line:
        line.sendall(head.encode() + body[:10])
        eventually(lambda: health(url) == 200)
        process.send_signal(signal.SIGTERM)
        eventually(lambda: not listens(int(port)), 10)
        line.sendall(body[10:])
        return int(line.recv(65_536).split()[1])
