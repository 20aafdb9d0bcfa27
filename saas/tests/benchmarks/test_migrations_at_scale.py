"""The newest migrations of the largest tables, undone and done again over many rows while others write. (T80)

``SAAS_MIGRATION_ROWS`` says how many; what a million took is in ``docs/reliability.md``.
"""

import os
import time
from contextlib import contextmanager
from threading import Event, Thread

import psycopg
import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.migrations.loader import MigrationLoader

from saas.billing.catalogue import seed_plans
from saas.testing.servers.engines import connection_parameters
from saas.tests.benchmarks import rows

pytestmark = [pytest.mark.long, pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

ROWS = int(os.environ.get("SAAS_MIGRATION_ROWS", "30000"))
TRIES = 20  # one that meets a long transaction gives up after a second, changes nothing, and is run again
# The last state before the newest change of an app's large tables.
BEFORE = {"accounts": "0009", "billing": "0006", "webhook_events": "0003"}
EVENTS = """
INSERT INTO webhook_events_webhookevent (
    provider, external_id, type, api_version, livemode, account, object_type, object_id, customer_id, provider_created,
    body_sha256, body_size, source, status, attempts, failures, losses, generation, replay_count, last_error, body_conflict)
SELECT 'stripe', 'evt_' || n, 'invoice.paid', '', true, '', 'invoice', 'in_' || n, 'cus_' || n, now(),
       '', 0, 'delivery', 'processed', 1, 0, 0, 0, 0, '', false
FROM generate_series(1, %s) n
"""
WRITES = [
    "UPDATE accounts_user SET full_name = 'Kim' WHERE email_canonical = '7@example.net'",
    "UPDATE billing_ledgerentry SET at = at WHERE subscription_id = 'sub_1' || lpad('7', 25, '0') AND number = 0",
    "UPDATE webhook_events_webhookevent SET last_error = '' WHERE external_id = 'evt_7' AND provider = 'stripe'",
]


class Writer:
    """Short writes to the large tables without a pause, under the time limits of a service."""

    def __init__(self):
        self.address = connection_parameters()
        self.written = self.refused = 0
        self.failure, self.is_over = None, Event()

    def work(self):
        limits = "-c statement_timeout=3000 -c lock_timeout=1000"
        try:
            with psycopg.connect(**self.address, options=limits, autocommit=True) as link:
                while not self.is_over.is_set():
                    for statement in WRITES:
                        self.write(link, statement)
        except Exception as error:
            self.failure = error

    def write(self, link, statement):
        try:
            assert link.execute(statement).rowcount == 1, statement
            self.written += 1
        except psycopg.errors.LockNotAvailable:
            self.refused += 1


@contextmanager
def writing():
    writer = Writer()
    thread = Thread(target=writer.work)
    thread.start()
    try:
        yield writer
    finally:
        writer.is_over.set()
        thread.join()


@pytest.fixture
def large_tables(transactional_db):
    seed_plans()
    rows.fill(people=ROWS, subscriptions=ROWS // 10)
    with connection.cursor() as cursor:
        cursor.execute(EVENTS, [ROWS])
        cursor.execute("SET lock_timeout = '1s'")  # as everywhere but in the tests
    rows.settle()
    yield
    connection.close()


@pytest.mark.parametrize("app", BEFORE)
def test_the_newest_migrations_go_back_and_forth_while_others_write(app, large_tables, record_property):
    newest = sorted(name for label, name in MigrationLoader(None).disk_migrations if label == app)[-1]
    try:
        with writing() as writer:
            back = migrate(app, BEFORE[app])
            undone = is_applied(app, newest)
            there = migrate(app, newest)
    finally:
        call_command("migrate", verbosity=0)

    figures = f"back {back}, there {there}; meanwhile {writer.written} writes, and {writer.refused} lock timeouts"
    record_property(f"{app} over {ROWS} rows", figures)
    assert writer.failure is None
    assert writer.written > 0
    assert (undone, is_applied(app, newest)) == (False, True)


def migrate(app, name):
    """How long it took and how often it was tried, in words."""
    started = time.monotonic()
    for tries in range(1, TRIES + 1):
        try:
            call_command("migrate", app, name, verbosity=0)
        except OperationalError:
            continue
        return f"{time.monotonic() - started:.1f} s ({tries})"
    raise AssertionError(f"{app} {name} never got its locks")


def is_applied(app, name):
    return (app, name) in MigrationLoader(connection).applied_migrations
