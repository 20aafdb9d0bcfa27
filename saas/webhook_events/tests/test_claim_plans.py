"""A claim costs the same however many events wait, and whatever the planner believes of their number."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from saas.testing.factories.event_factories import event, json_bytes
from saas.webhook_events.actions import store_deliveries
from saas.webhook_events.event_storage import IncomingEvent
from saas.webhook_events.processing import claims

pytestmark = [pytest.mark.postgres, pytest.mark.django_db]


def store(count):
    store_deliveries([IncomingEvent.parse(json_bytes(event(f"evt_{number}")), headers={}) for number in range(count)])


def plan(statement, arguments):
    with connection.cursor() as cursor:
        cursor.execute("SAVEPOINT explained")
        cursor.execute(f"EXPLAIN ANALYZE {statement}", arguments)
        lines = [line for (line,) in cursor.fetchall()]
        cursor.execute("ROLLBACK TO explained")
    return lines


def test_a_claim_reads_only_the_events_that_it_takes():
    store(500)
    claims.claim_batch(100)

    lines = plan(claims.CLAIM_SQL, {"limit": 10, "worker": "test"})

    walked = [line for line in lines if "webhook_events_due" in line]

    assert [("Index Scan" in line, "rows=10 " in line.partition("actual")[2]) for line in walked] == [(True, True)]


def test_claimed_events_are_found_by_primary_key_however_many_wait():
    store(500)
    batch = claims.claim_batch(100)
    with CaptureQueriesContext(connection) as asked:
        assert len(claims.lock_claimed_batch(batch)) == 100

    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # a table as small as this may be read whole, by chance
        cursor.execute("ANALYZE webhook_events_webhookevent")  # else what autovacuum saw of other tests decides
    lines = plan(asked.captured_queries[0]["sql"], None)

    walked = [line for line in lines if "webhook_events_webhookevent" in line and "actual" in line]
    assert any("webhook_events_webhookevent_pkey" in line for line in walked)
    assert [line for line in walked if "rows=100 " not in line.partition("actual")[2]] == []


def test_a_claim_adds_to_no_index():
    store(300)
    before = changed()

    claims.claim_batch(100)

    assert [now - then for now, then in zip(changed(), before, strict=True)] == [100, 100]


def changed():
    """Rows of events that this transaction has changed, and those of them that no index had to be updated for."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_stat_get_xact_tuples_updated(oid), pg_stat_get_xact_tuples_hot_updated(oid)"
            " FROM pg_class WHERE relname = 'webhook_events_webhookevent'"
        )
        return cursor.fetchone()
