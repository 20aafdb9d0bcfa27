"""The webhooks service as production runs it: uvicorn, the fast door, and real connections; and as ``runserver`` does."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from threading import Thread

import httpx
import pytest
from django.conf import settings
from django.db import connection

from saas.testing.inbox import encoded, event, signed
from saas.testing.stack import eventually, free_ports
from saas.webhook_events.models import WebhookEvent

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
STRIPE = "/api/webhooks/stripe"


@contextmanager
def served(*command):
    """On the test's own database; yields the process and its URL."""
    port = free_ports(1)
    database = connection.settings_dict
    url = settings.DATABASE_URL.rpartition("/")[0] + f"/{database['NAME']}"
    environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "saas.settings.webhooks"}
    process = subprocess.Popen(
        [sys.executable, *(part.format(port=port) for part in command)], cwd=settings.BASE_DIR, env=environment
    )
    try:
        eventually(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, 60)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def deliver(url, number):
    body = encoded(event(f"evt_{number}"))
    return httpx.post(url + STRIPE, content=body, headers=signed(body), timeout=20, trust_env=False)


def test_the_service_finds_the_database_again_answers_garbage_and_ends_after_its_last_answer():
    with served("-m", "webhooks", "--port", "{port}") as (process, url):
        assert deliver(url, 1).json() == {"status": "accepted", "event_id": "evt_1"}

        end_every_connection_but_ours()
        assert deliver(url, 2).json() == {"status": "accepted", "event_id": "evt_2"}

        assert problem_of(raw(url, b"GARBAGE\r\n\r\n"))["code"] == "malformed"
        assert problem_of(raw(url, b"POST /api/webhooks/stripe HTTP/1.1\r\nHost: localhost\r\n\r\n"))["status"] == 400

        answers = []
        asking = Thread(target=lambda: answers.append(held_up(url, process)))
        asking.start()
        asking.join(20)
        process.wait(20)

    assert answers == [202]
    assert set(WebhookEvent.objects.values_list("external_id", flat=True)) == {"evt_1", "evt_2", "evt_3"}
    assert process.returncode in {0, -signal.SIGTERM}


def test_the_development_server_finds_it_again_too_and_ends_at_once():
    with served("manage.py", "runserver", "{port}", "--noreload") as (process, url):
        assert deliver(url, 1).json() == {"status": "accepted", "event_id": "evt_1"}
        end_every_connection_but_ours()
        assert deliver(url, 2).json() == {"status": "accepted", "event_id": "evt_2"}

        process.send_signal(signal.SIGINT)
        process.wait(3)

    assert process.returncode == 0


def end_every_connection_but_ours():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def held_up(url, process):
    """Deliver with half of the body sent before the process is told to end, and half after."""
    body = encoded(event("evt_3"))
    head = f"POST {STRIPE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    head += f"Stripe-Signature: {signed(body)['Stripe-Signature']}\r\n\r\n"
    with socket.create_connection(address_of(url), timeout=20) as line:
        line.sendall(head.encode() + body[:10])
        eventually(lambda: httpx.get(f"{url}/health", trust_env=False).status_code == 200)
        process.send_signal(signal.SIGTERM)
        eventually(lambda: refuses(url), 10)
        line.sendall(body[10:])
        return int(line.recv(65_536).split()[1])


def refuses(url):
    with socket.socket() as probe:
        return probe.connect_ex(address_of(url)) != 0


def raw(url, sent):
    with socket.create_connection(address_of(url), timeout=10) as line:
        line.sendall(sent)
        answer = b""
        while b"}" not in answer and (piece := line.recv(65_536)):
            answer += piece
    return answer


def problem_of(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head.lower()
    return json.loads(body)


def address_of(url):
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)
