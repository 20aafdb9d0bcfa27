"""Revenue metrics: they agree with a slow count of the rows, to the cent."""

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from admin_ops.revenue import last_months, revenue_metrics
from saas.billing.models import Customer, LedgerEntry, Subscription
from saas.billing.sync import upsert
from saas.testing.factories import user_factories
from saas.testing.factories.subscription_factories import DAY, START, subscription_event
from saas.webhook_events.actions import append_event
from saas.webhook_events.models import WebhookEvent

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)  # 181 days and a half after the start


@pytest.fixture(autouse=True)
def in_july():
    with time_machine.travel(NOW, tick=False):
        yield


def owned(*external_ids):
    for external_id in external_ids:
        user = user_factories.create_customer().user
        Customer.objects.create(user=user, provider="stripe", external_id=external_id)


def take_in(*events):
    """Store all events, then project each subscription once: processing has its own tests."""
    for event in events:
        append_event(event, source=WebhookEvent.Source.DELIVERY)
    for subscription in dict.fromkeys(event["data"]["object"]["id"] for event in events):
        upsert.upsert_subscription(subscription)


def test_revenue_without_any_subscription_is_nothing(admin_ops, staff_member):
    body = admin_ops.get("/api/admin/metrics/revenue", token=staff_member.token).json()

    months, cohorts = body.pop("months"), body.pop("cohorts")
    assert body == {
        "active_subscriptions": 0,
        "trialing_subscriptions": 0,
        "past_due_subscriptions": 0,
        "canceling_subscriptions": 0,
        "currency": "usd",
        "monthly_recurring_revenue": 0,
        "arr": 0,
        "arpu": 0,
        "paying_customers": 0,
        "by_currency": [],
        "churn_30d": None,
        "customer_churn_30d": None,
        "net_revenue_retention_30d": None,
        "movements_30d": [],
    }
    assert [month["month"] for month in months][:: len(months) - 1] == ["2025-08-01", "2026-07-01"]
    assert months[0] == {
        "month": "2025-08-01", "opening": 0, "new": 0, "expansion": 0, "reactivation": 0, "contraction": 0, "churn": 0,
        "closing": 0, "opening_customers": 0, "new_customers": 0, "reactivation_customers": 0, "churn_customers": 0,
        "closing_customers": 0, "revenue_churn": None, "customer_churn": None, "net_revenue_retention": None,
    }  # fmt: skip
    assert cohorts[-2:] == [
        {"cohort": "2026-06-01", "customers": 0, "retained": [0, 0], "revenue": [0, 0]},
        {"cohort": "2026-07-01", "customers": 0, "retained": [0], "revenue": [0]},
    ]


@pytest.fixture
def business(db):
    """Ann stays and grows, Bea leaves and comes back for less, Cleo leaves in June; Dora pays in euros, Eve tries."""
    owned("cus_ann", "cus_bea", "cus_cleo", "cus_dora", "cus_eve")
    take_in(
        subscription_event("sub_ann", "active", 0, customer="cus_ann"),
        subscription_event("sub_ann", "active", 40, cents=7900, customer="cus_ann"),
        subscription_event("sub_bea", "active", 5, cents=7900, customer="cus_bea"),
        subscription_event("sub_bea", "canceled", 50, cents=7900, customer="cus_bea"),
        subscription_event("sub_bea2", "active", 160, customer="cus_bea", verb="created"),
        subscription_event("sub_cleo", "active", 33, customer="cus_cleo", verb="created"),
        subscription_event("sub_cleo", "past_due", 150, customer="cus_cleo"),
        subscription_event("sub_cleo", "canceled", 165, customer="cus_cleo"),
        subscription_event("sub_dora", "active", 34, customer="cus_dora", currency="eur", verb="created"),
        subscription_event("sub_eve", "trialing", 175, customer="cus_eve", verb="created"),
        subscription_event("sub_stranger", "active", 34, cents=99_900, customer="cus_stranger", verb="created"),
    )


def test_the_revenue_metrics_of_a_known_business(admin_ops, staff_member, business, django_assert_num_queries):
    with django_assert_num_queries(8):  # session, clock, what runs (twice), customers, window (twice), cells
        body = admin_ops.get("/api/admin/metrics/revenue", token=staff_member.token).json()

    months, cohorts = body.pop("months"), body.pop("cohorts")
    assert body == {
        "active_subscriptions": 3,
        "trialing_subscriptions": 1,
        "past_due_subscriptions": 0,
        "canceling_subscriptions": 0,
        "currency": "usd",
        "monthly_recurring_revenue": 98,
        "arr": 1176,
        "arpu": 49,
        "paying_customers": 2,
        "by_currency": [
            {"currency": "usd", "monthly_recurring_revenue": 98, "subscriptions": 2},
            {"currency": "eur", "monthly_recurring_revenue": 19, "subscriptions": 1},
        ],
        "churn_30d": 0.1939,  # Cleo's 19 of 98
        "customer_churn_30d": 0.5,
        "net_revenue_retention_30d": 0.8061,
        "movements_30d": [
            {"kind": "canceled", "count": 1, "amount": -19},
            {"kind": "reactivated", "count": 1, "amount": 19},
            {"kind": "trial_started", "count": 1, "amount": 0},
        ],
    }
    by_month = {month.pop("month"): month for month in months}
    assert by_month["2026-02-01"] == {
        "opening": 98, "new": 19, "expansion": 60, "reactivation": 0, "contraction": 0, "churn": 79, "closing": 98,
        "opening_customers": 2, "new_customers": 1, "reactivation_customers": 0, "churn_customers": 1,
        "closing_customers": 2, "revenue_churn": 0.8061, "customer_churn": 0.5, "net_revenue_retention": 0.8061,
    }  # fmt: skip
    assert by_month["2026-07-01"]["closing"] == 98
    assert {cohort["cohort"]: cohort for cohort in cohorts}["2026-01-01"] == {
        "cohort": "2026-01-01",
        "customers": 2,
        "retained": [2, 1, 1, 1, 1, 2, 2],
        "revenue": [98, 79, 79, 79, 79, 98, 98],
    }


@st.composite
def events(draw):
    """Up to three customers with up to two subscriptions each; whether they are ours is drawn, too."""
    deliveries = []
    for customer in range(draw(st.integers(1, 3))):
        for subscription in range(draw(st.integers(1, 2))):
            for day in sorted(draw(st.sets(st.integers(0, 181), min_size=1, max_size=5))):
                status = draw(st.sampled_from(["active", "active", "past_due", "trialing", "unpaid", "canceled"]))
                cents, currency = draw(st.sampled_from([0, 1900, 2050, 7900])), "eur" if customer == 2 else "usd"
                deliveries.append(
                    subscription_event(
                        f"sub_{customer}_{subscription}", status, day,
                        cents=cents, currency=currency, customer=f"cus_{customer}",
                    )
                )  # fmt: skip
    return draw(st.permutations(deliveries))


def paid(entries, until):
    """What each customer paid a month before ``until``: by the last state of each of their subscriptions."""
    words = {entry.subscription_id: entry for entry in entries if entry.at < until}
    totals = defaultdict(int)
    for entry in words.values():
        totals[entry.customer_id] += entry.monthly_cents
    return {customer: cents for customer, cents in totals.items() if cents}


def retention(before, after):
    opening = sum(before.values())
    return round(sum(after.get(customer, 0) for customer in before) / opening, 4) if opening else None


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deliveries=events(), ours=st.sets(st.integers(0, 2)))
def test_every_revenue_metric_agrees_with_a_slow_count_to_the_cent(unowned_business, deliveries, ours):
    unowned_business(ours)
    take_in(*deliveries)

    figures = revenue_metrics(NOW)

    currency = figures["currency"]
    ours = LedgerEntry.objects.filter(currency=currency, customer__user__isnull=False)
    entries = list(ours.order_by("at", "number"))
    now = paid(entries, NOW)
    rows = Subscription.objects.earning().filter(customer__user__isnull=False, currency=currency)
    assert round(figures["monthly_recurring_revenue"] * 100) == sum(now.values()) == sum(r.monthly_cents for r in rows)
    assert figures["paying_customers"] == len(now)
    then = paid(entries, NOW - timedelta(days=30))
    assert figures["net_revenue_retention_30d"] == retention(then, now)
    check_months(figures, entries)
    check_cohorts(figures, entries)


def check_months(figures, entries):
    starts = [datetime(day.year, day.month, 1, tzinfo=UTC) for day in last_months(NOW.date())] + [NOW]
    for month, start, end in zip(figures["months"], starts, starts[1:], strict=False):
        before, after = paid(entries, start), paid(entries, end)
        cents = {name: round(value * 100) for name, value in month.items() if isinstance(value, int | float)}
        came, went = cents["new"] + cents["expansion"] + cents["reactivation"], cents["contraction"] + cents["churn"]
        assert (cents["opening"], cents["closing"]) == (sum(before.values()), sum(after.values()))
        assert came - went == cents["closing"] - cents["opening"]
        assert (month["opening_customers"], month["closing_customers"]) == (len(before), len(after))
        assert month["net_revenue_retention"] == retention(before, after)


def check_cohorts(figures, entries):
    first = {}
    for entry in entries:
        if entry.delta_cents > 0:
            first.setdefault(entry.customer_id, entry.at.date().replace(day=1))
    for cohort in figures["cohorts"]:
        months = [month for month in last_months(NOW.date()) if month >= cohort["cohort"]]
        ends = [datetime(m.year + m.month // 12, m.month % 12 + 1, 1, tzinfo=UTC) for m in months[:-1]] + [NOW]
        theirs = [
            {customer: cents for customer, cents in paid(entries, end).items() if first[customer] == cohort["cohort"]}
            for end in ends
        ]
        assert cohort["retained"] == [len(found) for found in theirs]
        assert [round(value * 100) for value in cohort["revenue"]] == [sum(found.values()) for found in theirs]


@pytest.fixture
def unowned_business(db):
    """Empties the books, and makes those customers ours who are named."""
    people = [user_factories.create_customer().user for _ in range(3)]

    def begin(ours):
        LedgerEntry.objects.all().delete()
        Subscription.objects.all().delete()
        Customer.objects.all().delete()
        WebhookEvent.objects.all().delete()
        for number in ours:
            Customer.objects.create(user=people[number], provider="stripe", external_id=f"cus_{number}")

    return begin


def test_the_generated_subscriptions_start_at_new_year():
    assert datetime.fromtimestamp(START, UTC) == datetime(2026, 1, 1, tzinfo=UTC)
    assert NOW - datetime.fromtimestamp(START, UTC) == timedelta(seconds=181.5 * DAY)


@pytest.mark.parametrize("end", [{"cancel_at": START + 400 * DAY}, {"cancel_at_period_end": True}])
def test_a_canceled_subscription_counts_as_canceling_however_canceled(db, end):
    owned("cus_1", "cus_2")
    take_in(subscription_event("sub_1", "active", 0, **end), subscription_event("sub_2", "active", 0, customer="cus_2"))

    figures = revenue_metrics(NOW)

    assert (figures["active_subscriptions"], figures["canceling_subscriptions"]) == (2, 1)


def test_the_admin_site_shows_the_day_on_which_a_subscription_ends(admin_ops, staff_member):
    owned("cus_1")
    take_in(subscription_event("sub_1", "active", 0, cancel_at=START + 400 * DAY, current_period_end=START + 200 * DAY))
    admin_ops.cookies["saas_admin_session"] = staff_member.cookie_key
    row = Subscription.objects.get()

    pages = [f"/admin/billing/subscription/?q={row.pk}", f"/admin/accounts/user/{row.customer.user_id}/change/"]
    deliveries = [admin_ops.get(page).content.decode() for page in pages]

    assert [("ends 5 Feb 2027" in page, "renews" in page) for page in deliveries] == [(True, False), (True, False)]


@pytest.fixture
def two_currencies(db):
    """Two who pay 19 USD, one who pays 30,000 JPY: more minor units than both together."""
    owned("cus_1", "cus_2", "cus_3")
    take_in(
        subscription_event("sub_1", "active", 0),
        subscription_event("sub_2", "active", 0, customer="cus_2"),
        subscription_event("sub_3", "active", 0, customer="cus_3", currency="jpy", cents=30_000),
    )


@pytest.mark.parametrize(
    ("query", "deliveries"),
    [
        ("", ("usd", 38, 19, 2)),
        ("?currency=usd", ("usd", 38, 19, 2)),
        ("?currency=JPY", ("jpy", 30_000, 30_000, 1)),
        ("?currency=eur", ("eur", 0, 0, 0)),
    ],
)
def test_revenue_metrics_are_of_one_named_currency(admin_ops, staff_member, two_currencies, query, deliveries):
    body = admin_ops.get(f"/api/admin/metrics/revenue{query}", token=staff_member.token).json()

    names = ["currency", "monthly_recurring_revenue", "arpu", "paying_customers"]
    assert tuple(body[name] for name in names) == deliveries
    assert body["by_currency"] == [
        {"currency": "usd", "monthly_recurring_revenue": 38, "subscriptions": 2},
        {"currency": "jpy", "monthly_recurring_revenue": 30_000, "subscriptions": 1},
    ]


@pytest.mark.parametrize(
    ("query", "text"), [("", "38 USD"), ("?currency=jpy", "30,000 JPY"), ("?currency=<b>", "38 USD")]
)
def test_the_dashboard_shows_one_currency_and_offers_the_others(admin_ops, staff_member, two_currencies, query, text):
    admin_ops.cookies["saas_admin_session"] = staff_member.cookie_key

    page = admin_ops.get(f"/admin/{query}").content.decode()

    assert f'<div class="ops-number">{text}</div>' in page
    assert ('href="?currency=jpy"' in page, 'href="?currency=usd"' in page) == ("USD" in text, "JPY" in text)


def test_the_curve_begins_at_zero_when_the_providers_clock_is_ahead(admin_site, db):
    """A subscription of tomorrow, as their clock has it, counts today, and only today."""
    owned("cus_ann")
    take_in(subscription_event("sub_ann", "active", 182, customer="cus_ann", verb="created"))

    drawn = json.loads(admin_site.get("/admin/").context["revenue_chart"])["datasets"][0]["data"]

    assert drawn == [0] * 29 + [19]
