"""``manage.py up`` as a person uses it: it starts everything, everything works together, and nothing is left behind.

One stack serves the module; its last test stops it.
"""

import json
import signal
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from django.conf import settings

from saas.testing.servers.stack import SERVICES, Stack, eventually, running_stack, seeded_password

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("stack"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]

KIM = {"email": "kim@example.net", "password": "correct horse battery staple", "full_name": "Kim Example"}


@pytest.fixture(scope="module")
def var_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("var")


@pytest.fixture(scope="module")
def stack(var_dir: Path) -> Iterator[Stack]:
    with running_stack(var_dir) as started:
        yield started


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_healthy_when_it_says_ready(stack: Stack, service: str) -> None:
    answer = stack.get(service, "/health")

    assert (answer.status_code, answer.json()["service"]) == (200, service)
    assert f"{stack.urls[service]}/docs" in stack.text


def test_a_customer_of_product_can_use_parity_and_gets_a_mail(stack: Stack) -> None:
    registered = stack.post("product", "/api/auth/register", json=KIM)
    token = registered.json()["access_token"]
    known = stack.get("parity", "/auth/me", headers={"Authorization": f"Bearer {token}"})

    assert (registered.status_code, known.status_code) == (201, 200)
    assert known.json()["user"]["email"] == KIM["email"]
    eventually(lambda: f"worker │ ── Mail to {KIM['email']}: Welcome ──" in stack.text)


def test_an_event_sent_to_webhooks_is_processed_by_the_worker(stack: Stack) -> None:
    event = {"id": "evt_stack_1", "type": "customer.subscription.updated", "data": {"status": "active"}}

    accepted = stack.post("webhooks", "/api/webhooks/stripe", json=event)

    assert (accepted.status_code, accepted.json()) == (202, {"status": "accepted", "event_id": "evt_stack_1"})
    eventually(lambda: _status(stack, "evt_stack_1") not in {"queued", "retry_scheduled"})


def _status(stack: Stack, event_id: str) -> str:
    rows = stack.get("webhooks", "/api/webhooks/logs").json()["items"]
    return next(str(row["status"]) for row in rows if row["event_id"] == event_id)


def test_the_printed_password_opens_admin_ops(stack: Stack) -> None:
    login = {"email": "support@example.org", "password": seeded_password("support@example.org", stack.text)}

    assert stack.post("admin_ops", "/api/admin/auth/login", json=login).status_code == 200


def test_doctor_finds_nothing_wrong_as_soon_as_it_says_ready(stack: Stack) -> None:
    report = stack.manage("doctor", "--json")

    document = json.loads(report.stdout)
    assert report.returncode == 0, report.stdout
    assert document["health_percent"] == 100
    assert {row["name"]: row["modules"] for row in document["services"]} == {
        service: [module.name for module in import_module(f"{service}.modules").MODULES] for service in SERVICES
    }


def test_a_second_up_on_the_same_ports_names_them_and_changes_nothing(stack: Stack) -> None:
    second = stack.manage("up", "--port-base", str(stack.port_base + 3))

    assert second.returncode == 1
    assert second.stdout == ""
    assert second.stderr == (
        f"CommandError: Port {stack.port_base + 3} (product) is in use by another program: "
        "end it, or move all four with --port-base.\n"
    )


def test_ctrl_c_stops_everything_and_leaves_no_process(stack: Stack) -> None:
    of_the_worker = (
        3 if settings.REDIS_URL else 1
    )  # with a real broker it has two processes, with the embedded one threads
    assert len(stack.processes()) == 7 + of_the_worker  # the runner, four services (one with a parent), beat

    stack.signal(signal.SIGINT)

    assert stack.process.wait(timeout=30) == 0
    assert stack.processes() == []
    assert "Traceback" not in stack.text


def test_a_runner_that_is_killed_leaves_no_process(var_dir: Path) -> None:
    with running_stack(var_dir) as doomed:
        doomed.signal(signal.SIGKILL)
        doomed.process.wait()

        eventually(lambda: doomed.processes() == [])
