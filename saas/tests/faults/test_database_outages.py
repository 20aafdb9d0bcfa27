"""All four services while PostgreSQL is refused, frozen, stopped, read-only, crashed or replaced: they answer 503 with
``Retry-After`` within bounds, are not ready, and recover without a restart of ours."""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import count

import pytest
from django.conf import settings

from saas.api.problems import DATABASE_RETRY_SECONDS
from saas.database.dumps import postgres_program
from saas.testing.servers.engines import PrivatePostgres
from saas.testing.servers.fault_proxy import Mode
from saas.testing.servers.production import Server, killed_on_exit
from saas.testing.servers.stack import eventually
from saas.tests.faults.harness import DATABASE, PASSWORD, assert_retry_later, post_event

pytestmark = [pytest.mark.slow, pytest.mark.faults]

LOGIN_PATHS = {"product": "/api/auth/login", "admin_ops": "/api/admin/auth/login", "parity": "/auth/login"}
SERVICES = [*LOGIN_PATHS, "webhooks"]
# Writes by name, and their status when the database works. Admin ops does not know the customer.
USUAL = {"product": 200, "admin_ops": 401, "parity": 200, "webhooks": 202, "webhooks view": 202, "product profile": 200}
TIMED = ["webhooks", "webhooks view", "product profile"]
LONGEST_SECONDS = settings.DATABASE_ANSWER_SECONDS + 4  # a connection is sought first, on a machine that others use too
RECOVERY_SECONDS = 10
_numbers = count()


class Writes:
    """Requests that each write to the database. ``event_ids``: what was delivered to the intake."""

    def __init__(self, servers, customer):
        self.servers, self.customer = servers, customer
        self.event_ids = set()

    def send(self, name):
        service, _, variant = name.partition(" ")
        server = self.servers[service]
        if variant == "profile":
            token = self.customer["access_token"]
            return server.call("PUT", "/api/users/profile", {"biography": "x"}, token=token)
        if service == "webhooks":
            event_id = f"evt_outage_{next(_numbers)}"
            self.event_ids.add(event_id)
            return post_event(server, event_id, "product.created", query="?by=view" if variant else "")
        return server.call("POST", LOGIN_PATHS[service], {"email": self.customer["email"], "password": PASSWORD})

    def send_timed(self, name):
        started = time.monotonic()
        return self.send(name), time.monotonic() - started

    def send_all(self):
        """All at the same time: answers by name, and the seconds that the slowest of ``TIMED`` took."""
        with ThreadPoolExecutor(len(USUAL)) as pool:
            found = dict(zip(USUAL, pool.map(self.send_timed, USUAL), strict=True))
        return {name: answer for name, (answer, _) in found.items()}, max(found[name][1] for name in TIMED)

    def wait_until_usual(self, seconds=RECOVERY_SECONDS):
        for name, status in USUAL.items():
            eventually(lambda name=name, status=status: self.send(name).status_code == status, seconds)


@pytest.fixture(scope="module")
def servers(shared_harness):
    """One process of each service, with a pool of two."""
    environment = {**shared_harness.environment, "WEB_CONCURRENCY": "1"}
    started = {name: Server(name, environment, shared_harness.folder / f"outage-{name}.log") for name in SERVICES}
    with killed_on_exit(*started.values()):
        for server in started.values():
            server.wait_until_ready()
        yield started


@pytest.fixture
def writes(harness, servers, customer):
    writes = Writes(servers, customer)
    writes.wait_until_usual(20)
    return writes


def is_ready(server):
    answer = server.call("GET", "/health/ready")
    return answer.status_code == 200 or answer.json()["status"] == "degraded"


@contextmanager
def refused(harness):
    harness.database.mode = Mode.REFUSE
    try:
        yield
    finally:
        harness.database.mode = Mode.UP


@contextmanager
def frozen(harness):
    harness.postgres.freeze()
    try:
        yield
    finally:
        harness.postgres.thaw()


@contextmanager
def stopped(harness):
    harness.postgres.stop("immediate")
    try:
        yield
    finally:
        harness.postgres.start()


@contextmanager
def read_only(harness):
    """As a primary that was demoted: open sessions stay, and take no writes either (25006)."""
    _alter_system(harness.postgres, "SET default_transaction_read_only = on")
    try:
        yield
    finally:
        _alter_system(harness.postgres, "RESET default_transaction_read_only")


def _alter_system(postgres, change):
    with postgres.connect("postgres") as link:
        link.execute(f"ALTER SYSTEM {change}")
        link.execute("SELECT pg_reload_conf()")


@pytest.mark.parametrize("outage", [refused, frozen, stopped, read_only])
def test_every_service_answers_503_and_recovers_without_a_restart(harness, servers, writes, outage, record_property):
    writes.event_ids.clear()
    with outage(harness):
        answers, slowest = writes.send_all()
        for server in servers.values():
            eventually(lambda server=server: server.call("GET", "/health/ready").status_code == 503, 10)
        again, slowest_again = writes.send_all()
        live = {name: server.call("GET", "/health").status_code for name, server in servers.items()}
    event_ids = set(writes.event_ids)
    started = time.monotonic()
    writes.wait_until_usual()
    for server in servers.values():
        eventually(lambda server=server: is_ready(server), RECOVERY_SECONDS)

    record_property("slowest refusal, seconds", f"{max(slowest, slowest_again):.2f}")
    record_property("well again after, seconds", f"{time.monotonic() - started:.2f}")
    for answer in [*answers.values(), *again.values()]:
        assert_retry_later(answer)
    retry_after = {found[name].headers["Retry-After"] for found in (answers, again) for name in TIMED}
    assert retry_after == {str(DATABASE_RETRY_SECONDS)}
    assert max(slowest, slowest_again) < LONGEST_SECONDS
    assert live == dict.fromkeys(SERVICES, 200)
    # A frozen server may have received the statement, and execute it later.
    assert outage is frozen or not stored_event_ids(harness) & event_ids


def stored_event_ids(harness):
    with harness.postgres.connect(DATABASE) as connection:
        return {event_id for (event_id,) in connection.execute("SELECT external_id FROM webhook_events_webhookevent")}


def test_a_delivery_whose_session_is_ended_is_not_acknowledged(harness, writes):
    with harness.postgres.connect(DATABASE) as owner, ThreadPoolExecutor(1) as pool, owner.transaction():
        owner.execute("LOCK TABLE webhook_events_webhookevent IN ACCESS EXCLUSIVE MODE")
        answer = pool.submit(writes.send, "webhooks")
        eventually(harness.waits_for_a_lock, 5)
        harness.postgres.terminate_other_sessions(DATABASE, but=owner)

        assert_retry_later(answer.result())


def test_a_crashed_database_is_answered_with_503_while_it_recovers(harness, writes):
    harness.postgres.crash()

    answers = [writes.send(name) for _ in range(5) for name in SERVICES]

    for answer in (answer for answer in answers if answer.status_code not in USUAL.values()):
        assert_retry_later(answer)
    writes.wait_until_usual()


# ── Another server behind the same name ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def successor(shared_harness):
    """A PostgreSQL with a copy of everything that the first one holds."""
    with PrivatePostgres(is_durable=False, max_connections=40) as postgres:
        with postgres.connect("postgres") as link:
            link.execute(f"CREATE DATABASE {DATABASE}")
        dump = [postgres_program("pg_dump"), shared_harness.postgres.url(DATABASE)]
        copy = subprocess.run(dump, check=True, capture_output=True)
        restore = [postgres_program("psql"), "-q", postgres.url(DATABASE)]
        subprocess.run(restore, input=copy.stdout, check=True, stdout=subprocess.DEVNULL)
        yield postgres


@contextmanager
def replaced_by(successor, harness):
    """Lead new connections to the successor; open ones stay with the first server."""
    before = harness.database.target
    harness.database.target = ("127.0.0.1", successor.port)
    try:
        yield
    finally:
        harness.database.target = before
        successor.terminate_other_sessions(DATABASE)


@pytest.mark.parametrize("outage", [read_only, frozen])
def test_each_service_finds_the_server_that_takes_over_the_name(
    harness, servers, successor, writes, outage, record_property
):
    with ExitStack() as stack:
        stack.enter_context(outage(harness))
        stack.enter_context(replaced_by(successor, harness))
        started = time.monotonic()
        writes.wait_until_usual()
        record_property("all writes work after, seconds", time.monotonic() - started)

        for name in SERVICES:
            eventually(lambda name=name: is_ready(servers[name]), 10)
        assert {name: writes.send(name).status_code for name in USUAL} == USUAL


def test_an_idle_service_finds_the_server_that_takes_over(harness, servers, successor, writes):
    with read_only(harness):
        eventually(lambda: not is_ready(servers["webhooks"]), 10)
        with replaced_by(successor, harness):
            eventually(lambda: is_ready(servers["webhooks"]), 10)
