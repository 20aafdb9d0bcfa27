"""RabbitMQ as the broker: notified work is done, and a broker that is away, unresponsive or killed costs only time."""

import time
from itertools import count

import pytest

from saas.testing.servers.fault_proxy import Mode
from saas.testing.servers.production import Server, killed_on_exit, manage, start_celery
from saas.testing.servers.rabbitmq import PrivateRabbitMQ, missing_rabbitmq
from saas.testing.servers.stack import eventually
from saas.tests.faults.harness import post_event, running_harness

pytestmark = [pytest.mark.slow, pytest.mark.faults]


@pytest.fixture(scope="module")
def rabbitmq():
    if missing := missing_rabbitmq():
        pytest.skip(missing)
    with PrivateRabbitMQ() as started:
        yield started


@pytest.fixture(scope="module")
def whole(rabbitmq, tmp_path_factory):
    """A worker and no beat, so that only messages start work."""
    with running_harness(tmp_path_factory.mktemp("rabbitmq"), rabbitmq) as harness:
        hooks = Server("webhooks", harness.environment, harness.folder / "webhooks.log")
        worker = start_celery("worker", harness.environment, harness.folder / "worker.log")
        with killed_on_exit(hooks, worker):
            hooks.wait_until_ready()
            eventually(lambda: "ready." in worker.text, 60)
            harness.background_processes.append(worker)
            yield harness, hooks


@pytest.fixture
def system(whole):
    yield whole
    whole[0].restore()


def deliver(hooks, event_id):
    thing = {"id": "prod_1", "object": "product"}
    return post_event(hooks, event_id, "product.created", object=thing).status_code


def unfinished(harness):
    query = """
        SELECT (SELECT count(*) FROM webhook_events_webhookevent WHERE status = 'queued')
             + (SELECT count(*) FROM mail_mail WHERE status IN ('queued', 'sending'))
    """
    return harness.fetch_value(query)


def test_an_event_and_a_mail_are_processed_by_notification_alone(system):
    harness, hooks = system

    status = deliver(hooks, "evt_notified")
    other = harness.register()

    eventually(lambda: harness.mailbox.subjects(other["email"]) == ["Welcome"])
    eventually(lambda: not unfinished(harness))
    assert status == 202
    triggers = "SELECT string_agg(trigger || ' ' || outcome, ',') FROM webhook_events_webhookattempt"
    assert harness.fetch_value(triggers) == "delivery processed"
    assert not harness.redis.client.exists("celery")


def test_health_and_doctor_check_rabbitmq(system):
    harness, _ = system

    ready = harness.dependency_status("broker") == "ok"
    round_trip = "from saas.operations.checks import broker_round_trip; print(broker_round_trip())"
    output = manage(harness.environment, "shell", "-v0", "-c", round_trip)
    harness.broker.mode = Mode.BLACK_HOLE

    eventually(lambda: harness.dependency_status("broker") == "failed", 10)
    assert ready
    assert "a message went round in" in output


@pytest.mark.parametrize("mode", [Mode.REFUSE, Mode.RESET, Mode.BLACK_HOLE], ids=lambda mode: mode.value)
def test_work_accepted_without_rabbitmq_is_done_once_it_is_back(system, mode, record_property):
    harness, hooks = system
    harness.broker.mode = mode

    took, statuses = [], set()
    for number in range(3):
        started = time.monotonic()
        email = harness.register()["email"]
        statuses.add(harness.product.call("POST", "/api/auth/password/forgot", {"email": email}).status_code)
        statuses.add(deliver(hooks, f"evt_{mode.name}_{number}"))
        took.append(time.monotonic() - started)
    harness.broker.mode = Mode.UP
    seconds = seconds_until_notified(harness, hooks)

    assert statuses == {202}
    record_property("slowest three calls, seconds", max(took))
    record_property("notifications arrive again after, seconds", seconds)


def test_a_killed_rabbitmq_needs_no_restart_of_the_worker(system, rabbitmq, record_property):
    harness, hooks = system
    rabbitmq.kill()
    assert deliver(hooks, "evt_killed") == 202
    rabbitmq.start()

    record_property("notifications arrive again after, seconds", seconds_until_notified(harness, hooks))


def test_a_worker_notices_a_dead_connection_and_recovers(system, record_property):
    harness, hooks = system
    (worker,) = harness.background_processes
    seen = len(worker.text)
    harness.broker.mode = Mode.BLACK_HOLE

    started = time.monotonic()
    eventually(lambda: "Connection to broker lost" in worker.text[seen:], 90)
    assert deliver(hooks, "evt_dead") == 202
    record_property("noticed after, seconds", time.monotonic() - started)
    harness.broker.mode = Mode.UP

    record_property("notifications arrive again after, seconds", seconds_until_notified(harness, hooks))


def seconds_until_notified(harness, hooks):
    """Deliver events until the worker, which only messages start, has processed all that came before."""
    started, numbers = time.monotonic(), count()
    before = harness.fetch_value("SELECT max(id) FROM webhook_events_webhookevent")
    waiting = f"SELECT count(*) FROM webhook_events_webhookevent WHERE status = 'queued' AND id <= {before}"

    def is_notified():
        assert deliver(hooks, f"evt_notify_{before}_{next(numbers)}") == 202
        return harness.fetch_value(waiting) == 0

    eventually(is_notified, 90)
    return time.monotonic() - started
