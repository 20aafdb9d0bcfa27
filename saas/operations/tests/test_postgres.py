"""The connections that a service's pool lends."""

import psycopg
import pytest
from django.db import connection
from psycopg_pool import ConnectionPool

from saas.operations.postgres import ONLY_ON_DEMAND, PreparingCursor, bounded
from saas.testing.engines import address_of_the_tests

pytestmark = [pytest.mark.postgres, pytest.mark.django_db]


@pytest.fixture
def link():
    with bounded(5.0).connect(**address_of_the_tests(), autocommit=True, prepare_threshold=ONLY_ON_DEMAND) as made:
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


def test_a_connection_that_has_nothing_to_say_is_lent_without_asking_the_server(link, asked):
    ConnectionPool.check_connection(link)

    assert asked == []


def test_one_whose_session_was_ended_is_found_out(link):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [link.info.backend_pid])

    with pytest.raises(psycopg.OperationalError):
        ConnectionPool.check_connection(link)


def test_when_all_sessions_were_ended_at_once_the_next_caller_is_served_all_the_same():
    kind = bounded(5.0)
    made = {
        "kwargs": {**address_of_the_tests(), "autocommit": True},
        "connection_class": kind,
        "check": ConnectionPool.check_connection,
    }
    with ConnectionPool(min_size=3, timeout=1.0, **made) as pool:
        pool.wait()
        with connection.cursor() as cursor:
            for idle in pool._pool:
                cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [idle.info.backend_pid])

        with pool.connection() as lent:
            assert lent.execute("SELECT 1").fetchone() == (1,)


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
        assert PreparingCursor(link).execute("SELECT %s::int", [number]).fetchone() == (number,)

    assert (before, prepared(link)) == (0, 1)


def test_where_nothing_may_be_prepared_nothing_is(link):
    link.prepare_threshold = None
    for number in range(10):
        assert PreparingCursor(link).execute("SELECT %s::int", [number]).fetchone() == (number,)

    assert prepared(link) == 0
