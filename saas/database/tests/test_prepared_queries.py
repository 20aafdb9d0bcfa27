"""Queries that are composed once."""

from datetime import timedelta

import psycopg
import pytest
from django.db import NotSupportedError, connection, transaction
from django.db.models import DateTimeField
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from saas.accounts.models import LoginSession, User
from saas.billing.models import Plan
from saas.database.prepared_queries import PreparedQuery, QueryParameter, binary_cursor
from saas.testing.servers.engines import connection_parameters

LIVE = PreparedQuery(
    lambda: LoginSession.objects.select_related("user").filter(
        sid=QueryParameter("sid"), ends_at__gt=QueryParameter("now", DateTimeField()), user__status=User.Status.ACTIVE
    )
)


@pytest.fixture
def session(customer) -> LoginSession:
    return LoginSession.objects.select_related("user").get()


def test_the_row_is_the_one_that_django_would_give(session) -> None:
    row = LIVE.fetch_first(sid=session.sid, now=timezone.now())

    assert row == session
    assert {field.name: getattr(row, field.attname) for field in row._meta.concrete_fields} == {
        field.name: getattr(session, field.attname) for field in session._meta.concrete_fields
    }
    assert row.user.__dict__.keys() == session.user.__dict__.keys()
    assert row.user.created_at == session.user.created_at


def test_json_is_read_in_the_binary_format_too(db) -> None:
    Plan.objects.create(id="team", name="Team", features=["sso"], limits={"members": 3})

    row = PreparedQuery(lambda: Plan.objects.filter(pk=QueryParameter("pk")), cursor=binary_cursor).fetch_first(
        pk="team"
    )

    assert (row.features, row.limits) == (["sso"], {"members": 3})


def test_it_is_one_query_with_its_user(session, django_assert_num_queries) -> None:
    LIVE.fetch_first(sid=session.sid, now=timezone.now())

    with django_assert_num_queries(1):
        row = LIVE.fetch_first(sid=session.sid, now=timezone.now())

        assert row.user.email == session.user.email


def test_logged_queries_have_their_text(session) -> None:
    with CaptureQueriesContext(connection) as asked:
        LIVE.fetch_first(sid=session.sid, now=timezone.now())

    assert session.sid in asked.captured_queries[0]["sql"]


def test_each_time_the_values_are_those_of_that_time(session) -> None:
    now = timezone.now()

    assert LIVE.fetch_first(sid=session.sid, now=now)
    assert LIVE.fetch_first(sid="ses_of_nobody", now=now) is None
    assert LIVE.fetch_first(sid=session.sid, now=session.ends_at + timedelta(seconds=1)) is None
    assert LIVE.fetch_first(sid="' OR 1=1 --", now=now) is None
    assert LIVE.fetch_first(sid=session.sid, now=now)


def test_the_result_is_what_the_database_holds_now(session) -> None:
    LIVE.fetch_first(sid=session.sid, now=timezone.now())
    User.objects.update(status=User.Status.DISABLED)

    assert LIVE.fetch_first(sid=session.sid, now=timezone.now()) is None


def test_a_missing_value_is_an_error(session) -> None:
    with pytest.raises(KeyError, match="now"):
        LIVE.fetch_first(sid=session.sid)


def test_json_and_order_are_as_the_query_says(db) -> None:
    for name, cents in (("b", 2), ("a", 1), ("c", 3)):
        Plan.objects.create(id=name, name=name, price_cents=cents, features=["x"], limits={"seats": None})

    rows = PreparedQuery(lambda: Plan.objects.on_sale().filter(price_cents__lt=10)).fetch_all()

    assert [(row.id, row.features, row.limits) for row in rows] == [(name, ["x"], {"seats": None}) for name in "abc"]


@pytest.fixture
def changed():
    """A query that is planned, of a table whose column has changed its type since."""
    query = PreparedQuery(lambda: Plan.objects.filter(pk="p"))
    Plan.objects.create(id="p", name="P", price_cents=1)
    query.fetch_all()
    _widen("billing_plan", "name", 120)
    yield query
    _widen("billing_plan", "name", 100)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_migration_that_changes_a_type_causes_no_error(changed) -> None:
    assert [row.name for row in changed.fetch_all()] == ["P"]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_meets_such_a_migration_fails_once(changed) -> None:
    with pytest.raises(NotSupportedError), transaction.atomic():
        changed.fetch_all()  # nothing can be asked again in a transaction that has failed

    assert [row.name for row in changed.fetch_all()] == ["P"]


def _widen(table: str, column: str, length: int) -> None:
    """As a migration does: by a connection of its own."""
    with psycopg.connect(**connection_parameters(), autocommit=True) as link:
        link.execute(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE varchar({length})")
