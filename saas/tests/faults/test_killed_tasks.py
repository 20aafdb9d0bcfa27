"""Workers killed or asleep in the middle of a mail and of billing's deliveries: the effect is there once. (T78)

A mail that the mail server took, of which the worker could not note it any more, goes out once more: SMTP has no other
way. Its id is the same, so a mailbox shows it once.
"""

import os
import signal
from threading import Event

import pytest
from aiosmtpd.controller import Controller

from saas.mail import delivery
from saas.settings import infrastructure
from saas.testing.servers.fault_proxy import FaultProxy, Mode
from saas.testing.servers.production import Server, killed_on_exit, manage, start_celery
from saas.testing.servers.stack import eventually, free_ports
from saas.tests.faults.harness import RecordingMailbox, running_harness

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.xdist_group("engines")]

CLAIM_IS_OVER = "UPDATE mail_mail SET next_attempt_at = now() RETURNING id"
SWEEP = "from saas.mail.tasks import sweep; sweep.delay()"


class SlowMailbox(RecordingMailbox):
    """Waits before it takes a mail, or before it says that it has, until somebody sets the event."""

    def __init__(self):
        super().__init__()
        self.before_taking, self.before_telling = Event(), Event()
        self.at_the_door, self.taken = Event(), Event()

    async def handle_RCPT(self, server, session, envelope, address, options):
        self.at_the_door.set()
        await server.loop.run_in_executor(None, self.before_taking.wait, 60)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        answer = await super().handle_DATA(server, session, envelope)
        self.taken.set()
        await server.loop.run_in_executor(None, self.before_telling.wait, 60)
        return answer


@pytest.fixture(scope="module")
def harness_without_workers(tmp_path_factory):
    """Of this module alone: no worker is there but those that a test starts."""
    with running_harness(tmp_path_factory.mktemp("killed")) as harness:
        yield harness


@pytest.fixture
def mailbox():
    box = SlowMailbox()
    server = Controller(box, hostname="127.0.0.1", port=free_ports(1))
    server.start()
    box.url = f"smtp://127.0.0.1:{server.port}"
    yield box
    box.before_taking.set()
    box.before_telling.set()
    server.stop()


@pytest.fixture
def start_worker(harness_without_workers):
    """Calls start a worker that is ready; whatever is left of them is killed."""
    started = []

    def start(**environment):
        told = {**harness_without_workers.environment, **environment}
        started.append(
            start_celery("worker", told, harness_without_workers.folder / f"worker-{os.urandom(4).hex()}.log")
        )
        eventually(lambda: "ready." in started[-1].text, 60)
        return started[-1]

    yield start
    for worker in started:
        worker.kill()


def deliver_again(harness):
    """As the sweep does when the dead worker's claim is over."""
    harness.fetch_value(CLAIM_IS_OVER)
    manage(harness.environment, "shell", "-v0", "-c", SWEEP)


def unsent(harness):
    return harness.fetch_value("SELECT count(*) FROM mail_mail WHERE status <> 'sent'")


def test_a_mail_of_a_worker_killed_before_delivery_comes_once(harness_without_workers, mailbox, start_worker):
    worker = start_worker(EMAIL_URL=mailbox.url)
    customer = harness_without_workers.register()
    assert mailbox.at_the_door.wait(30)
    worker.kill()
    mailbox.before_taking.set()
    mailbox.before_telling.set()

    start_worker(EMAIL_URL=mailbox.url)
    assert unsent(harness_without_workers) == 1
    deliver_again(harness_without_workers)
    eventually(lambda: not unsent(harness_without_workers), 60)

    assert mailbox.subjects(customer["email"]) == ["Welcome"]


def test_a_mail_of_a_worker_killed_after_delivery_repeats_its_id(harness_without_workers, mailbox, start_worker):
    mailbox.before_taking.set()
    worker = start_worker(EMAIL_URL=mailbox.url)
    customer = harness_without_workers.register()
    assert mailbox.taken.wait(30)
    worker.kill()
    mailbox.before_telling.set()

    start_worker(EMAIL_URL=mailbox.url)
    deliver_again(harness_without_workers)
    eventually(lambda: not unsent(harness_without_workers), 60)
    deliver_again(harness_without_workers)  # changes nothing: it is sent

    assert mailbox.subjects(customer["email"]) == ["Welcome", "Welcome"]
    assert len({message["Message-ID"] for message in mailbox.received}) == 1


def test_a_mail_of_a_worker_suspended_past_its_claim_repeats_once(harness_without_workers, mailbox, start_worker):
    asleep = start_worker(EMAIL_URL=mailbox.url)
    customer = harness_without_workers.register()
    assert mailbox.at_the_door.wait(30)
    os.killpg(asleep.process.pid, signal.SIGSTOP)
    mailbox.before_taking.set()
    mailbox.before_telling.set()

    start_worker(EMAIL_URL=mailbox.url)
    deliver_again(harness_without_workers)
    eventually(lambda: not unsent(harness_without_workers), 60)
    os.killpg(asleep.process.pid, signal.SIGCONT)
    eventually(lambda: len(mailbox.received) == 2, 60)
    asleep.stop()

    assert mailbox.subjects(customer["email"]) == ["Welcome", "Welcome"]
    assert len({message["Message-ID"] for message in mailbox.received}) == 1
    assert not unsent(harness_without_workers)


def test_no_task_outlives_the_claim_of_its_mail():
    """A worker's process is ended before another may take the mail over."""
    assert delivery.CLAIM_TIMEOUT.total_seconds() > infrastructure.CELERY_TASK_TIME_LIMIT


# ── Billing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

BUY = """
from saas.accounts.models import User
from saas.billing.checkouts import start_checkout
start_checkout(User.objects.get(email_canonical="{email}"), plan_id="growth")
"""
RENEW = """
from datetime import timedelta
from saas.billing.providers.local import test_clock
from saas.billing.providers.local.tasks import turn_local_clock
test_clock.advance_clock(timedelta(days=31))
turn_local_clock.delay()
"""
TURN = "from saas.billing.providers.local.tasks import turn_local_clock; turn_local_clock.delay()"
WAITING = "SELECT count(*) FROM billing_localobject WHERE kind = 'event'"
UNFINISHED = "SELECT count(*) FROM webhook_events_webhookevent WHERE status NOT IN ('processed', 'ignored')"
REPEATS = "SELECT count(*) FROM webhook_events_webhookdelivery WHERE outcome = 'duplicate'"
RENEWALS = "SELECT count(*) FROM billing_ledgerentry WHERE kind = 'renewal'"


@pytest.fixture
def renewal(harness_without_workers):
    """A customer who pays, a webhooks service behind a relay, and what tells a worker where that is."""
    port = free_ports(1)
    told = {
        **harness_without_workers.environment,
        "SAAS_ENV": "test",
        "STRIPE_SECRET_KEY": "",  # the local provider
        "SAAS_VAR_DIR": str(harness_without_workers.folder),
        "ALLOWED_HOSTS": "127.0.0.1,hooks.example.com",
        "BIND": f"127.0.0.1:{port}",
    }
    hooks = Server("webhooks", told, harness_without_workers.folder / "hooks.log", bind=told["BIND"])
    hooks.port = port
    with killed_on_exit(hooks), FaultProxy(port) as relay:
        hooks.wait_until_ready()
        yield relay, {**told, "WEBHOOKS_BASE_URL": f"http://127.0.0.1:{relay.port}"}


def test_a_renewal_whose_worker_is_killed_midway_is_booked_once(harness_without_workers, renewal, start_worker):
    relay, told = renewal
    customer = harness_without_workers.register()
    manage(told, "shell", "-v0", "-c", BUY.format(email=customer["email"]))
    relay.mode = Mode.BLACK_HOLE
    worker = start_worker(**told)
    manage(told, "shell", "-v0", "-c", RENEW)
    eventually(lambda: relay.has_connections, 30)
    worker.kill()
    relay.mode = Mode.UP  # what the dead worker had posted arrives

    start_worker(**told)
    manage(told, "shell", "-v0", "-c", TURN)
    eventually(lambda: not harness_without_workers.fetch_value(WAITING), 60)
    eventually(lambda: not harness_without_workers.fetch_value(UNFINISHED), 60)

    assert harness_without_workers.fetch_value(REPEATS) == 1
    assert harness_without_workers.fetch_value(RENEWALS) == 1
    manage(told, "billing_rebuild", "--check")
