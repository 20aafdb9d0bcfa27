"""The identity of the ledger: new + expansion + reactivation - contraction - churn is the change in recurring revenue,
for any window, whatever happened to however many subscriptions, in whatever order it was told."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saas.billing.sync.event_order import StoredEvent
from saas.billing.sync.projections import subscriptions
from saas.billing.sync.projections.revenue import LedgerLine, RevenueEntry, project_revenue, restore_subscription_kinds
from saas.billing.sync.projections.subscriptions import SubscriptionChange

START = 1_760_000_000
MONTH = 30 * 86_400
STATUSES = ["incomplete", "trialing", "active", "past_due", "unpaid", "paused", "canceled", "incomplete_expired"]
GAINS, LOSSES = {"new", "expansion", "reactivation"}, {"contraction", "churn"}


@st.composite
def snapshots(draw: st.DrawFn, name: str, number: int) -> StoredEvent:
    """Any event of a subscription: its status, prices, quantities, currency and shape owe nothing to the one before."""
    cents, count = draw(st.sampled_from([0, 500, 1900, 7900])), draw(st.integers(0, 3))
    every = {"interval": draw(st.sampled_from(["month", "year", "week"])), "interval_count": draw(st.integers(1, 3))}
    price = {"id": f"price_{cents}", "currency": draw(st.sampled_from(["usd", "usd", "eur"]))}
    new = {"price": {**price, "unit_amount": cents, "recurring": every}, "quantity": count}
    old = {"plan": {**price, "amount": cents, **every}, "quantity": count}
    lines = draw(st.sampled_from([[new], [old], [new, old], []]))
    at = START + draw(st.integers(0, 6)) * MONTH + draw(st.integers(0, 2))
    shown = {"id": name, "status": draw(st.sampled_from(STATUSES)), "customer": "cus_1", "items": {"data": lines}}
    verb = draw(st.sampled_from(["created", "updated", "updated", "updated", "deleted"]))
    return StoredEvent(f"evt_{name}_{number}", f"customer.subscription.{verb}", at, shown, {})


@st.composite
def customers(draw: st.DrawFn) -> dict[str, list[StoredEvent]]:
    """The events of up to three subscriptions of one customer."""
    names = [f"sub_{number}" for number in range(draw(st.integers(1, 3)))]
    return {name: [draw(snapshots(name, number)) for number in range(draw(st.integers(1, 6)))] for name in names}


def fold(events: dict[str, list[StoredEvent]]) -> dict[str, subscriptions.SubscriptionProjection]:
    folded = {name: subscriptions.project_subscription(told) for name, told in events.items()}
    return {name: found for name, found in folded.items() if found}


def lines_of(folded: dict[str, subscriptions.SubscriptionProjection]) -> list[LedgerLine]:
    return [
        LedgerLine(name, number, move) for name, found in folded.items() for number, move in enumerate(found.changes)
    ]


def revenue(rows: list[RevenueEntry], until: datetime) -> Counter[str]:
    """By currency, the slow way: what each subscription brought after its last change before ``until``."""
    last: dict[tuple[str, str], RevenueEntry] = {}
    for row in sorted(rows, key=lambda row: row.line.number):
        if row.line.change.at < until:
            last[row.line.subscription, row.line.change.currency] = row
    found: Counter[str] = Counter()
    for (_, currency), row in last.items():
        found[currency] += row.line.change.monthly_cents
    return found


def moved(rows: list[RevenueEntry], start: datetime, end: datetime, currency: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for row in rows:
        change = row.line.change
        if change.currency == currency and start <= change.at < end:
            found[row.movement] += abs(row.moved_cents)
    return found


@settings(max_examples=100, deadline=None)
@given(events=customers(), window=st.tuples(st.integers(-1, 200), st.integers(-1, 200)), data=st.data())
def test_what_came_less_what_went_is_the_change_in_revenue(
    events: dict[str, list[StoredEvent]], window: tuple[int, int], data: st.DataObject
) -> None:
    rows = project_revenue(data.draw(st.permutations(lines_of(fold(events)))))
    hour = timedelta(hours=1)  # so that no change of the same hour is outside
    start, end = (datetime.fromtimestamp(START, UTC) + timedelta(days=day) + hour for day in sorted(window))

    for currency in ("usd", "eur"):
        told = moved(rows, start, end, currency)
        change = revenue(rows, end)[currency] - revenue(rows, start)[currency]
        assert sum(told[kind] for kind in GAINS) - sum(told[kind] for kind in LOSSES) == change


@settings(max_examples=100, deadline=None)
@given(events=customers())
def test_the_ledger_sums_up_to_the_recurring_revenue(events: dict[str, list[StoredEvent]]) -> None:
    folded = fold(events)
    rows = project_revenue(lines_of(folded))

    brought: Counter[str] = Counter()
    for found in folded.values():
        brought[found.state.currency] += found.state.earning_cents
    for currency in ("usd", "eur"):
        own = [row for row in rows if row.line.change.currency == currency]
        assert sum(row.line.change.delta_cents for row in own) == brought[currency]
        assert sum(row.moved_cents for row in own) == brought[currency]
        assert (own[-1].customer_cents if own else 0) == brought[currency]


@settings(max_examples=100, deadline=None)
@given(events=customers(), data=st.data())
def test_neither_order_nor_repetition_of_the_events_changes_a_line(
    events: dict[str, list[StoredEvent]], data: st.DataObject
) -> None:
    shuffled = {name: data.draw(st.permutations(told)) for name, told in events.items()}
    lines = data.draw(st.permutations(lines_of(fold(shuffled))))

    assert project_revenue(lines) == project_revenue(lines_of(fold(events)))


@settings(max_examples=100, deadline=None)
@given(events=customers())
def test_booking_what_was_booked_changes_nothing(events: dict[str, list[StoredEvent]]) -> None:
    rows = project_revenue(lines_of(fold(events)))

    read_back = [LedgerLine(row.line.subscription, row.line.number, _as_stored(row)) for row in rows]

    assert [_facts(row) for row in project_revenue(restore_subscription_kinds(read_back))] == [
        _facts(row) for row in rows
    ]


def _as_stored(row: RevenueEntry) -> SubscriptionChange:
    change = row.line.change
    return SubscriptionChange(
        row.kind, change.at, change.currency, change.delta_cents, change.monthly_cents, change.event_id
    )


def _facts(row: RevenueEntry) -> tuple[object, ...]:
    return (
        row.line.subscription,
        row.line.number,
        row.kind,
        row.movement,
        row.moved_cents,
        row.customer_cents,
        row.cohort,
    )


@settings(max_examples=100, deadline=None)
@given(events=customers())
def test_a_customer_is_new_once_and_churns_only_after_paying(events: dict[str, list[StoredEvent]]) -> None:
    rows = project_revenue(lines_of(fold(events)))

    for currency in ("usd", "eur"):
        own = [row for row in rows if row.line.change.currency == currency]
        ways = [row.movement for row in own if row.movement in {"new", "reactivation", "churn"}]
        assert ways[::2] == ["new", *["reactivation"] * (len(ways[::2]) - 1)][: len(ways[::2])]
        assert set(ways[1::2]) <= {"churn"}
        assert all(row.customer_cents >= 0 for row in own)
        assert len({row.cohort for row in own}) <= 1


def change(kind: str, day: float, delta: int, cents: int, event_id: str = "evt") -> SubscriptionChange:
    return SubscriptionChange(
        kind, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day), "usd", delta, cents, event_id
    )


def told(*lines: tuple[str, SubscriptionChange]) -> list[tuple[str, str, int]]:
    return [(row.kind, row.movement, row.customer_cents) for row in booked(*lines)]


def booked(*lines: tuple[str, SubscriptionChange]) -> list[RevenueEntry]:
    numbers: Counter[str] = Counter()
    numbered = []
    for name, move in lines:
        numbered.append(LedgerLine(name, numbers[name], move))
        numbers[name] += 1
    return project_revenue(numbered)


@pytest.mark.parametrize("days", [0, 1, 400])
def test_who_comes_back_with_another_subscription_is_reactivated(days: int) -> None:
    assert told(
        ("sub_1", change("new", 0, 1900, 1900)),
        ("sub_1", change("canceled", 30, -1900, 0)),
        ("sub_2", change("new", 31 + days, 7900, 7900)),
    ) == [("new", "new", 1900), ("canceled", "churn", 0), ("reactivated", "reactivation", 7900)]


def test_a_second_subscription_is_an_expansion_and_its_end_a_contraction() -> None:
    assert told(
        ("sub_1", change("new", 0, 1900, 1900)),
        ("sub_2", change("new", 5, 7900, 7900)),
        ("sub_1", change("canceled", 9, -1900, 0)),
        ("sub_2", change("canceled", 12, -7900, 0)),
    ) == [
        ("new", "new", 1900),
        ("new", "expansion", 9800),
        ("canceled", "contraction", 7900),
        ("canceled", "churn", 0),
    ]


@pytest.mark.parametrize("hours", [0, 0.5, 1])
def test_a_subscription_that_is_replaced_within_an_hour_is_one_movement(hours: float) -> None:
    entries = booked(
        ("sub_1", change("new", -9, 1900, 1900)),
        ("sub_1", change("canceled", 30.99, -1900, 0)),  # shortly before a month ends
        ("sub_2", change("new", 30.99 + hours / 24, 7900, 7900)),
    )

    assert [(row.movement, row.moved_cents) for row in entries if row.movement] == [("new", 1900), ("expansion", 6000)]
    assert [row.moved_cents for row in entries if not row.movement] == [0]
    assert entries[-1].paid_before  # also where the month began between the two


def test_a_subscription_that_is_replaced_after_more_than_an_hour_has_churned() -> None:
    assert told(
        ("sub_1", change("new", 0, 1900, 1900)),
        ("sub_1", change("canceled", 9, -1900, 0)),
        ("sub_2", change("new", 9 + 1.01 / 24, 7900, 7900)),
    ) == [("new", "new", 1900), ("canceled", "churn", 0), ("reactivated", "reactivation", 7900)]


def test_what_is_undone_within_an_hour_moves_nothing() -> None:
    assert told(
        ("sub_1", change("new", 0, 1900, 1900)),
        ("sub_1", change("upgrade", 9, 6000, 7900)),
        ("sub_1", change("downgrade", 9.01, -6000, 1900)),
        ("sub_2", change("new", 40, 7900, 7900)),
        ("sub_2", change("canceled", 40.01, -7900, 0)),
    ) == [
        ("new", "new", 1900),
        ("upgrade", "", 7900),
        ("downgrade", "", 1900),
        ("new", "", 9800),
        ("canceled", "", 1900),
    ]


def test_what_is_free_moves_no_revenue() -> None:
    assert told(
        ("sub_1", change("new", 0, 0, 0)),
        ("sub_1", change("upgrade", 9, 1900, 1900)),
        ("sub_2", change("new", 12, 0, 0)),
    ) == [("new", "", 0), ("upgrade", "new", 1900), ("new", "", 1900)]


def test_the_cohort_is_the_month_of_the_first_payment() -> None:
    rows = project_revenue([
        LedgerLine("sub_1", 0, change("trial_started", 20, 0, 0)),
        LedgerLine("sub_1", 1, change("new", 40, 1900, 1900)),
        LedgerLine("sub_1", 2, change("upgrade", 100, 6000, 7900)),
    ])  # fmt: skip

    assert {row.cohort for row in rows} == {date(2026, 2, 1)}
    assert [row.month for row in rows] == [date(2026, 1, 1), date(2026, 2, 1), date(2026, 4, 1)]


def life(*steps: tuple[str, dict[str, Any]]) -> list[tuple[str, int]]:
    """The ledger of a subscription that had these statuses, a day after each other."""
    events = []
    for number, (status, fields) in enumerate(steps):
        cents, start, end = fields.get("cents", 1900), fields.get("start"), fields.get("end")
        price = {"id": f"price_{cents}", "unit_amount": cents, "currency": "usd", "recurring": {"interval": "month"}}
        item = {"price": price, "quantity": 1, "current_period_start": start, "current_period_end": end}
        shown = {"id": "sub_1", "customer": "cus_1", "status": status, "items": {"data": [item]}}
        verb = "created" if number == 0 else "deleted" if status == "canceled" else "updated"
        events.append(StoredEvent(f"evt_{number}", f"customer.subscription.{verb}", START + number * 86_400, shown, {}))
    folded = subscriptions.project_subscription(events)
    assert folded
    return [(move.kind, move.delta_cents) for move in folded.changes]


@pytest.mark.parametrize(
    ("statuses", "ledger"),
    [
        (["incomplete", "active"], [("new", 1900)]),
        (["incomplete", "incomplete_expired"], []),
        (["trialing", "canceled"], [("trial_started", 0), ("trial_ended", 0)]),
        (["trialing", "paused", "active"], [("trial_started", 0), ("trial_ended", 0), ("new", 1900)]),
        (["trialing", "past_due", "active"], [("trial_started", 0), ("new", 1900), ("past_due", 0), ("recovered", 0)]),
        (["active", "past_due", "canceled"], [("new", 1900), ("past_due", 0), ("canceled", -1900)]),
        (["active", "unpaid", "active"], [("new", 1900), ("canceled", -1900), ("reactivated", 1900)]),
        (["active", "past_due", "unpaid", "canceled"], [("new", 1900), ("past_due", 0), ("canceled", -1900)]),
        (["unpaid", "canceled"], []),
        (["canceled"], []),
        (["active", "trialing", "active"], [("new", 1900), ("trial_started", 0)]),  # free days for one who pays
        (["active", "trialing", "canceled"], [("new", 1900), ("trial_started", 0), ("canceled", -1900)]),
        (["trialing", "trialing", "active"], [("trial_started", 0), ("new", 1900)]),
    ],
)  # fmt: skip
def test_a_life_is_told_in_the_words_of_the_books(statuses: list[str], ledger: list[tuple[str, int]]) -> None:
    assert life(*[(status, {}) for status in statuses]) == ledger


def test_a_renewal_starts_at_the_periods_end_a_new_interval_before_it() -> None:
    first = {"start": START, "end": START + MONTH}
    renewed = {"start": START + MONTH, "end": START + 2 * MONTH}
    upgraded_with_it = {**renewed, "cents": 7900}
    yearly = {"start": START + 86_400, "end": START + 12 * MONTH, "cents": 1600}

    assert life(("active", first), ("active", renewed)) == [("new", 1900), ("renewal", 0)]
    assert life(("active", first), ("active", upgraded_with_it)) == [("new", 1900), ("upgrade", 6000), ("renewal", 0)]
    assert life(("active", first), ("active", yearly)) == [("new", 1900), ("downgrade", -300)]
