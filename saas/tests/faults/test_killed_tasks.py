"""Workers killed or suspended in the middle of a mail or of a billing delivery: the effect happens once. (T78)

A mail that the server accepted just before its worker died is sent again: SMTP cannot avoid it. Its Message-ID is the same,
so that a mailbox can show it once.
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

pytestmark = [pytest.mark.slow, pytest.mark.faults]

CLAIM_IS_OVER = "UPDATE mail_mail SET next_attempt_at = now() RETURNING id"
SWEEP = "from saas.mail.tasks import sweep; sweep.delay()"


class SlowMailbox(RecordingMailbox):
    """Waits before it accepts a mail, and before it acknowledges one, until the test sets the event."""

    def __init__(self):
        super().__init__()
        self.may_accept, self.may_acknowledge = Event(), Event()
        self.is_offered, self.is_accepted = Event(), Event()

    async def handle_RCPT(self, server, session, envelope, address, options):
        self.is_offered.set()
        await server.loop.run_in_executor(None, self.may_accept.wait, 60)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        answer = await super().handle_DATA(server, session, envelope)
        self.is_accepted.set()
        await server.loop.run_in_executor(None, self.may_acknowledge.wait, 60)
        return answer


@pytest.fixture(scope="module")
def harness_without_workers(tmp_path_factory):
    """For this module only: no worker runs but those that a test starts."""
    with running_harness(tmp_path_factory.mktemp("killed")) as harness:
        yield harness


@pytest.fixture
def mailbox():
    box = SlowMailbox()
    server = Controller(box, hostname="127.0.0.1", port=free_ports(1))
    server.start()
    box.url = f"smtp://127.0.0.1:{server.port}"
    yield box
    box.may_accept.set()
    box.may_acknowledge.set()
    server.stop()


@pytest.fixture
def start_worker(harness_without_workers):
    """A function that starts a worker and waits until it is ready; all are killed after the test."""
    started = []

    def start(**environment):
        variables = {**harness_without_workers.environment, **environment}
        started.append(
            start_celery("worker", variables, harness_without_workers.folder / f"worker-{os.urandom(4).hex()}.log")
        )
        eventually(lambda: "ready." in started[-1].text, 60)
        return started[-1]

    yield start
    for worker in started:
        worker.kill()


def deliver_again(harness):
    """Do as the sweep does when the dead worker's claim has expired."""
    harness.fetch_value(CLAIM_IS_OVER)
    manage(harness.environment, "shell", "-v0", "-c", SWEEP)


def unsent(harness):
    return harness.fetch_value("SELECT count(*) FROM mail_mail WHERE status <> 'sent'")


def test_a_mail_of_a_worker_killed_before_delivery_comes_once(harness_without_workers, mailbox, start_worker):
    worker = start_worker(EMAIL_URL=mailbox.url)
    customer = harness_without_workers.register()
    assert mailbox.is_offered.wait(30)
    worker.kill()
    mailbox.may_accept.set()
    mailbox.may_acknowledge.set()

    start_worker(EMAIL_URL=mailbox.url)
    assert unsent(harness_without_workers) == 1
    deliver_again(harness_without_workers)
    eventually(lambda: not unsent(harness_without_workers), 60)

    assert mailbox.subjects(customer["email"]) == ["Welcome"]


def test_a_mail_of_a_worker_killed_after_delivery_repeats_its_id(harness_without_workers, mailbox, start_worker):
    mailbox.may_accept.set()
    worker = start_worker(EMAIL_URL=mailbox.url)
    customer = harness_without_workers.register()
    assert mailbox.is_accepted.wait(30)
    worker.kill()
    mailbox.may_acknowledge.set()

    start_worker(EMAIL_URL=mailbox.url)
    deliver_again(harness_without_workers)
    eventually(lambda: not unsent(harness_without_workers), 60)
    deliver_again(harness_without_workers)  # changes nothing: it is sent

    assert mailbox.subjects(customer["email"]) == ["Welcome", "Welcome"]
    assert len({message["Message-ID"] for message in mailbox.received}) == 1


def test_a_mail_of_a_worker_suspended_past_its_claim_repeats_once(harness_without_workers, mailbox, start_worker):
    asleep = start_worker(EMAIL_URL=mailbox.url)
    customer = harness_without_workers.register()
    assert mailbox.is_offered.wait(30)
    os.killpg(asleep.process.pid, signal.SIGSTOP)
    mailbox.may_accept.set()
    mailbox.may_acknowledge.set()

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
STORED = "SELECT count(*) FROM webhook_events_webhookevent"
REPEATS = "SELECT count(*) FROM webhook_events_webhookdelivery WHERE outcome = 'duplicate'"
RENEWALS = "SELECT count(*) FROM billing_ledgerentry WHERE kind = 'renewal'"


@pytest.fixture
def renewal(harness_without_workers):
    """A fault proxy before a webhooks service, and the environment of a worker that delivers through it."""
    port = free_ports(1)
    environment = {
        **harness_without_workers.environment,
        "SAAS_ENV": "test",
        "STRIPE_SECRET_KEY": "",  # the local provider
        "SAAS_VAR_DIR": str(harness_without_workers.folder),
        "ALLOWED_HOSTS": "127.0.0.1,hooks.example.com",
        "BIND": f"127.0.0.1:{port}",
    }
    hooks = Server("webhooks", environment, harness_without_workers.folder / "hooks.log", bind=environment["BIND"])
    hooks.port = port
    with killed_on_exit(hooks), FaultProxy(port) as relay:
        hooks.wait_until_ready()
        yield relay, {**environment, "WEBHOOKS_BASE_URL": f"http://127.0.0.1:{relay.port}"}


def test_a_renewal_whose_worker_is_killed_midway_is_booked_once(harness_without_workers, renewal, start_worker):
    relay, environment = renewal
    customer = harness_without_workers.register()
    manage(environment, "shell", "-v0", "-c", BUY.format(email=customer["email"]))
    before = harness_without_workers.fetch_value(STORED)
    relay.mode = Mode.MUTE
    worker = start_worker(**environment)
    manage(environment, "shell", "-v0", "-c", RENEW)
    eventually(lambda: harness_without_workers.fetch_value(STORED) > before, 30)
    worker.kill()  # it waits for the answer
    relay.mode = Mode.UP

    start_worker(**environment)
    manage(environment, "shell", "-v0", "-c", TURN)
    eventually(lambda: not harness_without_workers.fetch_value(WAITING), 60)
    eventually(lambda: not harness_without_workers.fetch_value(UNFINISHED), 60)

    assert harness_without_workers.fetch_value(REPEATS) == 1
    assert harness_without_workers.fetch_value(RENEWALS) == 1
    manage(environment, "billing_rebuild", "--check")
