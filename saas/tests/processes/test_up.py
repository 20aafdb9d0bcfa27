"""``manage.py up`` as a person uses it: it starts everything, everything works together, and nothing is left behind."""

import json
import signal
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from django.conf import settings

from saas.testing.servers.stack import SERVICES, Stack, eventually, free_ports, running_stack, seeded_password

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("stack"),  # those of own_stack too: one system runs at a time
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]

KIM = {"email": "kim@example.net", "password": "correct horse battery staple", "full_name": "Kim Example"}


@pytest.fixture
def stack(shared_stack: Stack) -> Stack:
    return shared_stack


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    """One to stop."""
    with running_stack(tmp_path) as started:
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


def test_the_ready_block_is_the_last_thing_on_the_screen(stack: Stack) -> None:
    _, _, block = stack.text_when_ready.partition("READY in ")

    password = seeded_password("support@example.org", stack.text)
    assert f"{stack.urls['admin_ops']}/admin/  log in as support@example.org with {password}\n" in block
    assert f"{stack.urls['product']}/dev/mail\n" in block
    assert block.endswith("Ctrl-C stops everything.\n\n")


def test_commands_find_the_running_system_without_being_told(stack: Stack) -> None:
    sent = stack.manage_without_urls("stripe_trigger", "charge.succeeded", "--id", "evt_untold")
    staff = stack.manage_without_urls("create_staff", "--email", "sam@example.org", "--role", "support-read")
    report = json.loads(stack.manage_without_urls("doctor", "--json").stdout)

    assert json.loads(sent.stdout) == {"status": "accepted", "event_id": "evt_untold"}
    assert f"{stack.urls['admin_ops']}/admin/password/?token=" in staff.stdout
    assert [row["detail"].partition(",")[0] for row in report["services"]] == list(stack.urls.values())
    assert report["health_percent"] == 100


def test_the_services_of_another_copy_are_not_called_ours(stack: Stack, tmp_path: Path) -> None:
    report = stack.manage("doctor", "--json", SAAS_VAR_DIR=str(tmp_path))

    services = json.loads(report.stdout)["services"]
    assert [row["ok"] for row in services] == [False] * 4
    assert services[0]["detail"] == (
        f"{stack.urls['product']} is answered by another copy: none of {tmp_path} runs there"
    )
    assert services[0]["remedy"] == "start this copy's own on free ports: python3 manage.py up --port-base 9000"


def test_a_second_up_on_the_same_var_folder_is_refused_in_a_sentence(stack: Stack) -> None:
    second = stack.manage("up", "--port-base", str(free_ports(4)))

    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr == (
        f"CommandError: `up` already runs on {stack.environment['SAAS_VAR_DIR']} at {stack.urls['product']} "
        f"(process {stack.process.pid}): "
        "end it first, or give this one a folder of its own with SAAS_VAR_DIR.\n"
    )


def test_a_second_up_on_the_same_ports_names_them_and_changes_nothing(stack: Stack, tmp_path: Path) -> None:
    second = stack.manage("up", "--port-base", str(stack.port_base + 3), SAAS_VAR_DIR=str(tmp_path))

    assert second.returncode == 1
    assert second.stdout == ""
    assert second.stderr == (
        f"CommandError: Port {stack.port_base + 3} (product) is in use by another program: "
        "end it, or move all four with --port-base.\n"
    )


def test_ctrl_c_stops_everything_and_leaves_no_process(own_stack: Stack) -> None:
    of_the_worker = (
        3 if settings.REDIS_URL else 1
    )  # with a real broker it has two processes, with the embedded one threads
    assert len(own_stack.processes()) == 7 + of_the_worker  # the runner, four services (one with a parent), beat

    own_stack.signal(signal.SIGINT)

    assert own_stack.process.wait(timeout=30) == 0
    assert own_stack.processes() == []
    assert "Traceback" not in own_stack.text


@pytest.mark.long  # test_serve.py kills the parent of one service instead, in an ordinary run
def test_a_runner_that_is_killed_leaves_no_process(own_stack: Stack) -> None:
    own_stack.signal(signal.SIGKILL)
    own_stack.process.wait()

    eventually(lambda: own_stack.processes() == [])
