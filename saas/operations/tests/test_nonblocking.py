"""A statement that an event loop runs without a thread."""

import asyncio
from types import SimpleNamespace

import pytest
from django.db import connection
from psycopg.pq import Format, TransactionStatus

from saas.operations.nonblocking import LoopStatement, loop_statement
from saas.operations.postgres import ONLY_ON_DEMAND, bounded
from saas.testing.engines import address_of_the_tests

pytestmark = [pytest.mark.postgres, pytest.mark.django_db]
LENGTH_AND_NAME = b"SELECT length($1::bytea), $2::text"


def linked(seconds=60.0, **options):
    return bounded(seconds).connect(
        **address_of_the_tests(), autocommit=True, **{"prepare_threshold": ONLY_ON_DEMAND, **options}
    )


@pytest.fixture
def link():
    with linked() as made:
        yield made


def statement(link, sql=LENGTH_AND_NAME):
    return LoopStatement(link, sql, (Format.BINARY, Format.TEXT))


def answer(asked, *parameters):
    async def ask():
        told = asyncio.get_running_loop().create_future()
        asked.run(parameters, told.set_result)
        return await asyncio.wait_for(told, 10)  # much less than the connection would wait

    return asyncio.run(ask())


def end_session(link):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [link.info.backend_pid])


def test_it_brings_the_rows_again_and_again(link):
    asked = statement(link)

    assert [answer(asked, b"\x00\xff", name) for name in (b"one", b"two")] == [[(b"2", b"one")], [(b"2", b"two")]]


def test_more_than_fits_into_a_socket_is_sent_while_the_loop_goes_on(link):
    size = 40 * 1024 * 1024

    assert answer(statement(link), bytes(size), b"") == [(str(size).encode(), b"")]


def test_what_the_server_refuses_is_nothing_and_the_next_is_answered(link):
    asked = statement(link, b"SELECT 1 / $2::integer, $1::bytea")

    assert answer(asked, b"", b"0") is None
    assert answer(asked, b"", b"1") == [(b"1", b"\\x")]
    assert link.info.transaction_status == TransactionStatus.IDLE


@pytest.mark.parametrize("times", [1, 2])
def test_a_session_that_was_ended_is_nothing_each_time(link, times):
    asked = statement(link)
    end_session(link)

    assert [answer(asked, b"", b"") for _ in range(times)] == [None] * times
    assert link.closed  # or a thread would wait on it


def test_a_session_that_ends_meanwhile_is_nothing(link):
    asked = statement(link, b"SELECT pg_terminate_backend(pg_backend_pid()), length($1::bytea), $2::text, pg_sleep(5)")

    assert answer(asked, b"", b"") is None
    assert link.closed


def test_what_the_loop_does_not_hear_is_found_by_looking(link, monkeypatch):
    """As when libpq has closed the socket under it."""
    asked = statement(link)
    monkeypatch.setattr(asyncio.SelectorEventLoop, "add_reader", lambda *_: None)

    assert answer(asked, b"abc", b"x") == [(b"3", b"x")]
    end_session(link)
    assert answer(asked, b"", b"") is None
    assert link.closed


def test_nobody_waits_longer_than_the_connection_does():
    with linked(0.2) as link:
        asked = statement(link, b"SELECT pg_sleep(10), length($1::bytea), $2::text")

        assert answer(asked, b"", b"") is None
        assert link.closed


def test_a_thread_may_use_the_connection_afterwards(link):
    answer(statement(link), b"", b"")

    assert link.execute("SELECT 1").fetchone() == (1,)


def wrapped(link, queries_logged=False):
    return SimpleNamespace(connection=link, queries_logged=queries_logged)


def test_it_is_planned_once_for_a_connection(link):
    first = loop_statement(wrapped(link), "SELECT length(%s::bytea), %s::text", (Format.BINARY, Format.TEXT))

    assert answer(first, b"abc", b"x") == [(b"3", b"x")]
    assert loop_statement(wrapped(link), "SELECT 1", (), first) is first


def test_another_connection_has_a_statement_of_its_own(link):
    with linked() as other:
        first = loop_statement(wrapped(link), "SELECT 1", ())
        second = loop_statement(wrapped(other), "SELECT 1", (), first)

        assert second is not first
        assert answer(second) == [(b"1",)]


def test_it_joins_a_transaction_and_does_not_commit_beside_one_that_has_yet_to_begin(link):
    link.autocommit = False
    assert loop_statement(wrapped(link), "SELECT 1", ()) is None

    link.execute("CREATE TEMPORARY TABLE seen (n integer)")
    asked = loop_statement(wrapped(link), "INSERT INTO seen VALUES (1) RETURNING n", ())

    assert answer(asked) == [(b"1",)]
    link.rollback()
    assert link.execute("SELECT to_regclass('seen')").fetchone() == (None,)


def test_there_is_none_where_it_cannot_be(link):
    with linked(prepare_threshold=None) as unprepared:
        wrappers = [wrapped(None), wrapped(link, queries_logged=True), wrapped(unprepared)]

        assert [loop_statement(wrapper, "SELECT 1", ()) for wrapper in wrappers] == [None] * 3
    end_session(link)
    assert loop_statement(wrapped(link), "SELECT 1", ()) is None
