"""The admin pages' statistics over many rows are right, and read from indexes alone. For times see ``docs/performance.md``."""

import pytest
from django.db import connection
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from admin_ops import queries
from admin_ops.customer_page import customer_page
from admin_ops.revenue import revenue_metrics
from admin_ops.timeline import build_timeline
from saas.billing.catalogue import seed_plans
from saas.billing.models import Customer, LedgerEntry, Subscription
from saas.operations.invariants import find_violations
from saas.tests.benchmarks import rows
from saas.tests.benchmarks.admin_rows import fill_events

pytestmark = [pytest.mark.long, pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def business(transactional_db):
    seed_plans()
    rows.fill(people=30_000, subscriptions=6_000)
    rows.settle()


def plans_of(call):
    """Yield the database's plan of each query that ``call`` sends."""
    with CaptureQueriesContext(connection) as asked:
        call()
    with connection.cursor() as cursor:
        for query in asked.captured_queries:
            cursor.execute(f"EXPLAIN {query['sql']}")
            yield "\n".join(line for (line,) in cursor.fetchall())


def test_the_statistics_are_right_and_read_no_whole_table(business):
    now = timezone.now()

    figures = revenue_metrics(now)

    earning = Subscription.objects.linked().earning().filter(currency="usd")
    assert round(figures["monthly_recurring_revenue"] * 100) == earning.aggregate(cents=Sum("monthly_cents"))["cents"]
    assert figures["paying_customers"] == earning.values("customer").distinct().count()
    booked = LedgerEntry.objects.linked().filter(currency="usd").aggregate(cents=Sum("delta_cents"))
    assert round(figures["months"][-1]["closing"] * 100) == booked["cents"]
    assert {violation.name for violation in find_violations()} == set()
    assert not [plan for plan in plans_of(lambda: revenue_metrics(now)) if "Seq Scan on billing_ledgerentry" in plan]
    assert queries.customer_counts(now)["total_users"] == 30_000 - 480
    counts = (queries.customer_counts, queries.signups_by_day, queries.active_customer_counts)
    assert not [
        plan for plan in plans_of(lambda: [count(now) for count in counts]) if "Seq Scan on accounts_user" in plan
    ]


def test_a_user_lookup_reads_no_whole_table(business):
    with connection.cursor() as cursor:
        fill_events(cursor, 6_000)
        cursor.execute("ANALYZE webhook_events_webhookevent")
    subscriber = Customer.objects.exclude(user=None).latest("pk").user

    assert not [
        plan
        for plan in plans_of(lambda: (customer_page(subscriber), build_timeline(subscriber)))
        if "Seq Scan on webhook_events_webhookevent" in plan
    ]
    lists = plans_of(
        lambda: [list(queries.search_users(plan=name).order_by("-pk")[:50]) for name in ("growth", "none")]
    )
    assert not [plan for plan in lists if "Join Filter" in plan]  # a join that compares all rows with all
