"""Group commit: what is stored together, and what becomes of each delivery when something goes wrong."""

import asyncio
import os
import signal

import psycopg
import pytest
from django.db import DataError, OperationalError

from saas.request_context import Context
from saas.testing.factories.event_factories import event, json_bytes
from saas.testing.intake_clients import TransactionConnection, batch_writer_in_transaction, intake_thread
from saas.testing.servers.engines import connection_parameters
from saas.webhook_events import actions
from saas.webhook_events.event_storage import IncomingEvent
from saas.webhook_events.models import WebhookEvent
from saas.webhook_events.tasks import notifier
from webhooks.intake import batch_writer
from webhooks.intake.batch_writer import BatchWriter
from webhooks.intake.short_path import connect

pytestmark = [pytest.mark.postgres, pytest.mark.django_db]
committing = pytest.mark.django_db(transaction=True)


def delivery(number):
    return IncomingEvent.parse(json_bytes(event(f"evt_{number}")), headers={})


TOO_LONG = delivery(9)
TOO_LONG = TOO_LONG._replace(envelope=TOO_LONG.envelope._replace(object_id="x" * 300))


async def store_all(writer, deliveries):
    """Whether each was new, or what went wrong; all asked for at the same moment."""
    asked = [writer.store(one, Context()) for one in deliveries]
    return await asyncio.gather(*asked, return_exceptions=True)


@pytest.fixture
def store():
    """In the test's own transaction."""
    with intake_thread() as thread:
        yield lambda *deliveries: asyncio.run(store_all(batch_writer_in_transaction(thread), deliveries))


def stored():
    return set(WebhookEvent.objects.values_list("external_id", flat=True))


@pytest.fixture
def batches(monkeypatch):
    """The sizes of the statements."""
    sizes, rows = [], actions.new_events
    monkeypatch.setattr(actions, "new_events", lambda deliveries: sizes.append(len(deliveries)) or rows(deliveries))
    return sizes


def test_deliveries_of_the_same_moment_are_one_statement(store, batches):
    assert store(*map(delivery, range(20))) == [True] * 20
    assert batches == [20]
    assert WebhookEvent.objects.count() == 20


@pytest.mark.parametrize(("size", "bytes_", "expected"), [(3, 10**9, [3, 1]), (10, 1, [1, 1, 1, 1]), (4, 10**9, [4])])
def test_a_batch_is_bounded_in_number_and_in_size(store, batches, monkeypatch, size, bytes_, expected):
    monkeypatch.setattr(batch_writer, "BATCH_SIZE", size)
    monkeypatch.setattr(batch_writer, "BATCH_BYTES", bytes_)

    store(*map(delivery, range(4)))

    assert batches == expected


def test_of_several_deliveries_of_one_event_one_is_new(store):
    store(delivery(1))

    assert store(delivery(1), delivery(2), delivery(2)) == [False, True, False]
    assert stored() == {"evt_1", "evt_2"}


def test_a_row_that_the_database_refuses_fails_alone(store):
    first, refused, last = store(delivery(1), TOO_LONG, delivery(2))

    assert (first, type(refused), last) == (True, DataError, True)
    assert stored() == {"evt_1", "evt_2"}


def test_an_unavailable_database_fails_all_deliveries_after_one_try(store, monkeypatch):
    asked = []

    async def away(*_, **__):
        asked.append(True)
        raise psycopg.OperationalError("away")

    monkeypatch.setattr(TransactionConnection, "execute", away)

    assert [type(outcome) for outcome in store(*map(delivery, range(3)))] == [OperationalError] * 3
    assert asked == [True]


def test_an_unexpected_error_reaches_the_caller_and_the_next_is_written(monkeypatch):
    with intake_thread() as thread:
        writer = batch_writer_in_transaction(thread)

        async def main():
            with monkeypatch.context() as patch:
                patch.setattr(actions, "new_events", lambda _: 1 / 0)
                [broken] = await store_all(writer, [delivery(1)])
            return broken, await store_all(writer, [delivery(2)])

        broken, after = asyncio.run(main())

    assert (type(broken), after) == (ZeroDivisionError, [True])


# ── With a connection of its own, which commits ──────────────────────────────────────────────────────────────────────


async def backend_of(writer):
    """The server's process that this writer talks to, once it has stored something."""
    await writer.store(delivery(0), Context())
    return writer._connection.info.backend_pid


def with_writer(test, answer_seconds=30.0):  # beyond the server's own limits
    async def main():
        writer = BatchWriter(connect, answer_seconds=answer_seconds)
        try:
            return await test(writer)
        finally:
            await writer.close()

    return asyncio.run(main())


@committing
def test_a_connection_that_died_is_replaced_and_nobody_notices():
    async def test(writer):
        backend = await backend_of(writer)
        with psycopg.connect(**connection_parameters()) as link:
            link.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])
        return await store_all(writer, [delivery(1), delivery(2)])

    assert with_writer(test) == [True, True]
    assert stored() == {"evt_0", "evt_1", "evt_2"}


@committing
def test_workers_are_told_of_the_first_new_event_and_of_no_repeat(monkeypatch):
    told = []
    monkeypatch.setattr(notifier, "notify", told.append)

    async def test(writer):
        for deliveries in ([delivery(1), delivery(2)], [delivery(1)]):
            await store_all(writer, deliveries)

    with_writer(test)

    assert told == [WebhookEvent.objects.earliest("pk").pk]


@committing
def test_a_row_that_the_database_refuses_costs_no_connection():
    async def test(writer):
        backend = await backend_of(writer)
        outcomes = await store_all(writer, [delivery(1), TOO_LONG])
        return outcomes[0], type(outcomes[1]), await backend_of_last(writer) == backend

    async def backend_of_last(writer):
        return writer._connection.info.backend_pid

    assert with_writer(test) == (True, DataError, True)


@committing
def test_a_locked_table_fails_the_batch_and_the_connection_goes_on():
    async def test(writer):
        backend = await backend_of(writer)
        await writer._connection.execute("SET lock_timeout = '100ms'")
        with psycopg.connect(**connection_parameters()) as link:
            link.execute("LOCK webhook_events_webhookevent")
            [outcome] = await store_all(writer, [delivery(1)])
        assert await store_all(writer, [delivery(1)]) == [True]
        return type(outcome), writer._connection.info.backend_pid == backend

    assert with_writer(test) == (OperationalError, True)


@committing
def test_a_frozen_server_is_left_in_time_for_a_new_connection():
    async def test(writer):
        backend = await backend_of(writer)
        os.kill(backend, signal.SIGSTOP)
        started = asyncio.get_running_loop().time()
        try:
            [outcome] = await store_all(writer, [delivery(1)])
            waited = asyncio.get_running_loop().time() - started
            after = await store_all(writer, [delivery(2)])
        finally:
            os.kill(backend, signal.SIGCONT)
        return type(outcome), waited < 3, after

    assert with_writer(test, answer_seconds=0.5) == (OperationalError, True, [True])


@committing
def test_a_client_that_leaves_takes_its_delivery_not_along():
    async def test(writer):
        leaving = asyncio.create_task(writer.store(delivery(1), Context()))
        await asyncio.sleep(0)
        leaving.cancel()
        return await store_all(writer, [delivery(2)])

    assert with_writer(test) == [True]
    assert stored() == {"evt_1", "evt_2"}


@committing
def test_a_demoted_primary_is_left_for_the_new_one_behind_its_name():
    async def test(writer):
        backend = await backend_of(writer)
        await writer._connection.execute("SET default_transaction_read_only = on")
        return await store_all(writer, [delivery(1)]), writer._connection.info.backend_pid == backend

    assert with_writer(test) == ([True], False)
