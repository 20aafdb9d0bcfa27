"""The connections that a service's pool lends."""

from contextlib import contextmanager
from time import monotonic

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction
from psycopg_pool import ConnectionPool

from saas.database.postgres import (
    PREPARE_ON_DEMAND,
    PreparedCursor,
    connection_class_with_timeout,
    is_database_unavailable,
)
from saas.testing.servers.engines import connection_parameters
from saas.testing.servers.fault_proxy import FaultProxy, Mode
from saas.testing.servers.stack import eventually

pytestmark = [pytest.mark.postgres, pytest.mark.django_db]


@pytest.fixture
def link():
    with connection_class_with_timeout(5.0).connect(
        **connection_parameters(), autocommit=True, prepare_threshold=PREPARE_ON_DEMAND
    ) as made:
        yield made


@pytest.fixture
def asked(monkeypatch):
    """How often anybody waited for the server."""
    waits = []
    wait = psycopg.Connection.wait
    monkeypatch.setattr(
        psycopg.Connection, "wait", lambda self, *args, **rest: waits.append(1) or wait(self, *args, **rest)
    )
    return waits


def test_a_connection_with_nothing_to_read_is_lent_without_a_round_trip(link, asked):
    ConnectionPool.check_connection(link)

    assert asked == []


def test_one_whose_session_was_ended_is_found_out(link):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [link.info.backend_pid])

    with pytest.raises(psycopg.OperationalError):
        ConnectionPool.check_connection(link)


@contextmanager
def pooled(size=3, wait_seconds=5.0, **address):
    """A pool that lends bounded connections, as a service's does."""
    lent = []
    kind = connection_class_with_timeout(wait_seconds, lambda: lent[0])
    made = {"kwargs": {**connection_parameters(), **address, "autocommit": True}, "connection_class": kind}
    check = ConnectionPool.check_connection
    with ConnectionPool(min_size=size, max_size=size, timeout=1.0, check=check, reconnect_timeout=1.0, **made) as pool:
        lent.append(pool)
        pool.wait()
        yield pool


def sessions(pool):
    """The processes of the server that stand behind those that the pool has."""
    taken = [pool.getconn() for _ in range(pool.max_size)]
    for one in taken:
        pool.putconn(one)
    return {one.info.backend_pid for one in taken}


def test_after_all_sessions_were_ended_the_next_caller_is_served():
    with pooled() as pool:
        with connection.cursor() as cursor:
            for pid in sessions(pool):
                cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

        with pool.connection() as lent:
            assert lent.execute("SELECT 1").fetchone() == (1,)


def test_a_wait_ends_at_the_timeout_and_the_next_connection_is_new():
    with (
        FaultProxy(int(connection_parameters().get("port") or 5432)) as relay,
        pooled(wait_seconds=0.5, port=relay.port) as pool,
    ):
        before = sessions(pool)
        with pool.connection() as lent:
            relay.mode = Mode.BLACK_HOLE
            started = monotonic()
            with pytest.raises(psycopg.OperationalError, match="no answer within"):
                lent.execute("SELECT 1")
            took = monotonic() - started
        relay.mode = Mode.UP

        eventually(lambda: answers(pool), 10)
        assert 0.5 <= took < 2
        assert lent.closed
        assert sessions(pool).isdisjoint(before)


def answers(pool):
    try:
        with pool.connection() as lent:
            return lent.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def test_an_answer_that_takes_too_long_is_not_waited_for_to_its_end():
    with connection_class_with_timeout(0.3).connect(**connection_parameters(), autocommit=True) as link:
        with pytest.raises(psycopg.OperationalError, match="no answer within"):
            link.execute("SELECT pg_sleep(0.1) FROM generate_series(1, 8)")
        assert link.closed


def test_waiting_for_notifications_in_vain_is_no_fault(link):
    link.execute("LISTEN nothing")

    assert list(link.notifies(timeout=0.1)) == []
    assert link.execute("SELECT 1").fetchone() == (1,)


def test_a_server_that_takes_no_writes_is_left_by_all():
    with pooled() as pool:
        before = sessions(pool)
        with pool.connection() as lent:
            lent.execute("SET default_transaction_read_only = on")
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                lent.execute("CREATE TABLE nobody_makes_this ()")

        assert sessions(pool).isdisjoint(before)


def test_a_server_in_trouble_is_asked_for_new_sessions_once_a_second():
    with pooled() as pool:
        for _ in range(5):
            with pool.connection() as lent:
                lent.execute("SET default_transaction_read_only = on")
                with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                    lent.execute("CREATE TABLE nobody_makes_this ()")

        eventually(lambda: pool.get_stats()["pool_available"] == 3)
        assert pool.get_stats()["connections_num"] <= 6


@pytest.mark.parametrize(
    ("state", "is_away"),
    [("25006", True), ("57P01", True), ("57P02", True), ("57P03", True), ("08006", True), ("53300", True), ("58030", True),
     ("25P02", False), ("23505", False), ("22003", False), ("42601", False), ("XX001", False)],
)  # fmt: skip
def test_what_is_the_databases_fault_is_told_from_what_is_ours(state, is_away):
    with pytest.raises(DatabaseError) as raised, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION 'so' USING ERRCODE = '{state}'; END $$")

    assert is_database_unavailable(raised.value) == is_database_unavailable(raised.value.__cause__) == is_away


def test_any_other_statement_is_asked(link, asked):
    assert link.execute("SELECT 1").fetchone() == (1,)
    assert len(asked) >= 1


def prepared(link):
    return link.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()[0]


def test_only_what_asks_for_it_is_planned_once(link):
    for _ in range(10):
        link.execute("SELECT 2")
    before = prepared(link)
    for number in range(10):
        assert PreparedCursor(link).execute("SELECT %s::int", [number]).fetchone() == (number,)

    assert (before, prepared(link)) == (0, 1)


def test_where_nothing_may_be_prepared_nothing_is(link):
    link.prepare_threshold = None
    for number in range(10):
        assert PreparedCursor(link).execute("SELECT %s::int", [number]).fetchone() == (number,)

    assert prepared(link) == 0
