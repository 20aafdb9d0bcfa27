"""All four services while PostgreSQL takes no writes, ends sessions, crashes, is gone or frozen: told to come back, never a
crash; and, when another server stands behind the same name, well again without a restart of ours."""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import count

import pytest

from saas.database.dumps import postgres_program
from saas.testing.factories.event_factories import event, json_bytes, signature_headers
from saas.testing.servers.engines import PrivatePostgres
from saas.testing.servers.fault_proxy import Mode
from saas.testing.servers.production import STRIPE_SECRET, Server, killed_on_exit
from saas.testing.servers.stack import eventually
from saas.tests.faults.harness import DATABASE, PASSWORD
from saas.tests.faults.test_dependency_outages import _waiting_for_a_lock, assert_told_to_come_back

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.xdist_group("engines")]

SERVICES = ["product", "admin_ops", "parity", "webhooks"]
WELL = {"product": 200, "admin_ops": 401, "parity": 200, "webhooks": 202}
_numbers = count()


@pytest.fixture(scope="module")
def servers(shared_harness):
    """One process of each service, with a pool of two."""
    told = {**shared_harness.environment, "WEB_CONCURRENCY": "1"}
    started = {name: Server(name, told, shared_harness.folder / f"outage-{name}.log") for name in SERVICES}
    with killed_on_exit(*started.values()):
        for server in started.values():
            server.wait_until_ready()
        yield started


@pytest.fixture
def write(harness, servers, customer):
    """Ask a service for something that it must write down."""

    def write(name):
        if name == "webhooks":
            raw = json_bytes(event(f"evt_outage_{next(_numbers)}", "product.created", livemode=True))
            headers = {"Content-Type": "application/json", **signature_headers(raw, secret=STRIPE_SECRET)}
            return servers[name].call("POST", "/api/webhooks/stripe", content=raw, headers=headers)
        path = {"product": "/api/auth/login", "parity": "/auth/login", "admin_ops": "/api/admin/auth/login"}[name]
        return servers[name].call("POST", path, {"email": customer["email"], "password": PASSWORD})

    for name in SERVICES:
        eventually(lambda name=name: write(name).status_code == WELL[name], 20)
    return write


def is_ready(server):
    answer = server.call("GET", "/health/ready")
    return answer.status_code == 200 or answer.json()["status"] == "degraded"


@contextmanager
def read_only(harness):
    """As a primary that was stood down, whose sessions go on."""
    _administer(harness.postgres, "ALTER SYSTEM SET default_transaction_read_only = on")
    try:
        yield
    finally:
        _administer(harness.postgres, "ALTER SYSTEM RESET default_transaction_read_only")


def _administer(postgres, command):
    with postgres.connect("postgres") as link:
        link.execute(command)
        link.execute("SELECT pg_reload_conf()")


@contextmanager
def gone(harness):
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


@pytest.mark.parametrize("trouble", [read_only, gone, frozen, stopped])
def test_every_service_asks_to_come_back_says_it_is_not_ready_and_is_well_again(harness, servers, write, trouble):
    with trouble(harness), ThreadPoolExecutor(len(SERVICES)) as pool:
        answers = list(pool.map(write, SERVICES))
        for answer in answers:
            assert_told_to_come_back(answer)
        for server in servers.values():
            eventually(lambda server=server: server.call("GET", "/health/ready").status_code == 503, 10)
            assert server.call("GET", "/health").status_code == 200

    for name in SERVICES:
        eventually(lambda name=name: write(name).status_code == WELL[name], 10)
        eventually(lambda name=name: is_ready(servers[name]), 10)


def test_a_delivery_whose_session_is_ended_is_not_acknowledged(harness, write):
    with harness.postgres.connect(DATABASE) as owner, ThreadPoolExecutor(1) as pool, owner.transaction():
        owner.execute("LOCK TABLE webhook_events_webhookevent IN ACCESS EXCLUSIVE MODE")
        asked = pool.submit(write, "webhooks")
        eventually(lambda: _waiting_for_a_lock(harness), 5)
        harness.postgres.terminate_other_sessions(DATABASE, but=owner)

        assert_told_to_come_back(asked.result())


def test_while_the_database_recovers_from_a_crash_nobody_is_told_anything_else(harness, write):
    harness.postgres.crash()

    seen = [write(name) for _ in range(5) for name in SERVICES]

    for answer in (answer for answer in seen if answer.status_code not in WELL.values()):
        assert_told_to_come_back(answer)
    for name in SERVICES:
        eventually(lambda name=name: write(name).status_code == WELL[name], 10)


# ── Another server behind the same name ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def successor(shared_harness):
    """A server with everything that the first one holds."""
    with PrivatePostgres(is_durable=False, max_connections=40) as postgres:
        with postgres.connect("postgres") as link:
            link.execute(f"CREATE DATABASE {DATABASE}")
        dump = [postgres_program("pg_dump"), shared_harness.postgres.url(DATABASE)]
        copy = subprocess.run(dump, check=True, capture_output=True)
        restore = [postgres_program("psql"), "-q", postgres.url(DATABASE)]
        subprocess.run(restore, input=copy.stdout, check=True, stdout=subprocess.DEVNULL)
        yield postgres


@contextmanager
def succeeded(harness, successor):
    """New connections reach the successor; what is connected to the first server stays so."""
    before = harness.database.target
    harness.database.target = ("127.0.0.1", successor.port)
    try:
        yield
    finally:
        harness.database.target = before
        successor.terminate_other_sessions(DATABASE)


@pytest.mark.parametrize("trouble", [read_only, frozen])
def test_when_another_server_takes_over_behind_the_name_each_service_finds_it(
    harness, servers, successor, write, trouble, record_property
):
    with ExitStack() as stack:
        stack.enter_context(trouble(harness))
        stack.enter_context(succeeded(harness, successor))
        started = time.monotonic()
        for name in SERVICES:
            eventually(lambda name=name: write(name).status_code == WELL[name], 10)
        record_property("all four work after, seconds", time.monotonic() - started)

        for name in SERVICES:
            eventually(lambda name=name: is_ready(servers[name]), 10)
        assert [write(name).status_code for name in SERVICES] == list(WELL.values())


def test_a_service_that_nobody_asks_to_write_finds_the_other_server_too(harness, servers, successor, write):
    with read_only(harness):
        eventually(lambda: not is_ready(servers["webhooks"]), 10)
        with succeeded(harness, successor):
            eventually(lambda: is_ready(servers["webhooks"]), 10)
