"""Both ways into the inbox, and a write of product, while the database refuses, is frozen or takes no writes: each asks to come
back within bounds, the services say that they are not ready, and all are well again without a restart of ours."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count

import pytest
from django.conf import settings

from saas.api.problems import DATABASE_RETRY_SECONDS
from saas.testing.factories.event_factories import event, json_bytes, signature_headers
from saas.testing.servers.fault_proxy import Mode
from saas.testing.servers.production import STRIPE_SECRET, Server, killed_on_exit
from saas.testing.servers.stack import eventually
from saas.tests.faults.harness import DATABASE
from saas.tests.faults.test_dependency_outages import assert_told_to_come_back, profile

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.xdist_group("engines")]

LONGEST_SECONDS = (
    settings.DATABASE_ANSWER_SECONDS + 4
)  # for a connection that is sought first, on a machine that others use too
WELL_SECONDS = 10
_NUMBERS = count(1)


@pytest.fixture(scope="module")
def hooks(shared_harness):
    shared_harness.restore()
    started = Server("webhooks", shared_harness.environment, shared_harness.folder / "ways-in.log")
    with killed_on_exit(started):
        started.wait_until_ready()
        yield started


@contextmanager
def refused(harness):
    harness.database.mode = Mode.REFUSE
    yield
    harness.database.mode = Mode.UP


@contextmanager
def frozen(harness):
    harness.postgres.freeze()
    try:
        yield
    finally:
        harness.postgres.thaw()


@contextmanager
def read_only(harness):
    """As a primary that was stood down: sessions that are open already take no writes either (25006)."""
    with harness.postgres.connect(DATABASE) as owner:
        owner.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        owner.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            owner.execute("SET default_transaction_read_only = off")
            owner.execute("ALTER SYSTEM RESET default_transaction_read_only")
            owner.execute("SELECT pg_reload_conf()")


def delivered(hooks, query=""):
    """With a query, it is Django's view that takes it in."""
    event_id = f"evt_way_{next(_NUMBERS)}"
    body = json_bytes(event(event_id, livemode=True))
    headers = {"Content-Type": "application/json", **signature_headers(body, secret=STRIPE_SECRET)}
    return event_id, hooks.call("POST", f"/api/webhooks/stripe{query}", content=body, headers=headers, timeout=30)


def ask_all_ways(harness, hooks, customer):
    """Side by side: the answers, the slowest of them in seconds, and the ids of the events."""
    started = time.monotonic()
    with ThreadPoolExecutor() as pool:
        ways = [pool.submit(delivered, hooks), pool.submit(delivered, hooks, "?by=view")]
        written = pool.submit(profile, harness, customer)
        ids, answers = zip(*(way.result() for way in ways), strict=True)
    return [*answers, written.result()], time.monotonic() - started, set(ids)


def statuses(harness, hooks, customer):
    return [answer.status_code for answer in ask_all_ways(harness, hooks, customer)[0]]


def are_ready(*servers):
    return {server.call("GET", "/health/ready").status_code for server in servers}


@pytest.mark.parametrize("trouble", [refused, frozen, read_only])
def test_every_way_in_asks_to_come_back_and_is_well_again_by_itself(harness, hooks, customer, trouble, record_property):
    assert statuses(harness, hooks, customer) == [202, 202, 200]
    with trouble(harness):
        answers, slowest, ids = ask_all_ways(harness, hooks, customer)
        eventually(lambda: are_ready(harness.product, hooks) == {503}, 10)
        again, slowest_again, ids_again = ask_all_ways(harness, hooks, customer)
        live = hooks.call("GET", "/health").status_code
    started = time.monotonic()
    eventually(lambda: statuses(harness, hooks, customer) == [202, 202, 200], WELL_SECONDS)
    eventually(lambda: are_ready(harness.product, hooks) == {200}, WELL_SECONDS)

    record_property("slowest refusal, seconds", f"{max(slowest, slowest_again):.2f}")
    record_property("well again after, seconds", f"{time.monotonic() - started:.2f}")
    for answer in answers + again:
        assert_told_to_come_back(answer)
        assert answer.headers["Retry-After"] == str(DATABASE_RETRY_SECONDS)
    assert max(slowest, slowest_again) < LONGEST_SECONDS
    assert live == 200
    assert trouble is frozen or not stored(harness) & (
        ids | ids_again
    )  # one that is frozen may have been asked, and acts later


def stored(harness):
    with harness.postgres.connect(DATABASE) as connection:
        return {event_id for (event_id,) in connection.execute("SELECT external_id FROM webhook_events_webhookevent")}
