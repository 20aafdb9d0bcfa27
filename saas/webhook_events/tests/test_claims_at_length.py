"""A claim costs the same however many events wait, and whatever the planner believes of their number."""

import pytest
from django.db import connection

from saas.testing.inbox import encoded, event
from saas.webhook_events import claims
from saas.webhook_events.actions import receive
from saas.webhook_events.deliveries import Delivery

pytestmark = [pytest.mark.postgres, pytest.mark.django_db]


def plan():
    arguments = {"limit": 10, "visibility_seconds": 15.0, "worker": "test"}
    with connection.cursor() as cursor:
        cursor.execute("SAVEPOINT explained")
        cursor.execute(f"EXPLAIN ANALYZE {claims._AT_ONCE}", arguments)
        lines = [line for (line,) in cursor.fetchall()]
        cursor.execute("ROLLBACK TO explained")
    return lines


def test_a_claim_reads_no_more_of_what_waits_than_it_takes():
    receive([Delivery.of(encoded(event(f"evt_{number}")), headers={}) for number in range(500)])
    claims.claim_batch(100)

    walked = [line for line in plan() if "webhook_events_due" in line]

    assert [("Index Scan" in line, "rows=10 " in line.partition("actual")[2]) for line in walked] == [(True, True)]
