"""The projection of a subscription: properties over generated histories, and the cases that decided its rules."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saas.billing.sync.event_order import StoredEvent
from saas.billing.sync.projections import subscriptions
from saas.billing.sync.projections.catalogue import project_price, project_product
from saas.billing.sync.projections.checkout_sessions import project_checkout_session
from saas.billing.sync.projections.customers import project_customer
from saas.billing.sync.projections.invoices import project_invoice
from saas.billing.sync.projections.payment_methods import project_payment_method
from saas.billing.sync.recurring_revenue import monthly_amount

START = 1_760_000_000
NAMES = ["id", "status", "customer", "items", "plan", "current_period_end", "quantity", "created", "card", "type"]
NAMES += ["metadata", "invoice_settings", "parent", "recurring", "total", "payment_status"]
STATUSES = ["trialing", "active", "past_due", "unpaid", "paused"]


def snapshot(status: str, *, cents: int = 1900, end: int = START + 100, **fields: Any) -> dict[str, Any]:
    price = {"id": f"price_{cents}", "unit_amount": cents, "currency": "usd", "recurring": {"interval": "month"}}
    line = {"id": "si_1", "quantity": 1, "price": price, "current_period_end": end}
    return {
        "id": "sub_1",
        "object": "subscription",
        "status": status,
        "customer": "cus_1",
        "items": {"data": [line]},
        **fields,
    }


def event(
    number: int, verb: str, at: int, object: dict[str, Any], previous: dict[str, Any] | None = None
) -> StoredEvent:
    return StoredEvent(f"evt_{number}", f"customer.subscription.{verb}", at, object, previous or {})


@st.composite
def lives(draw: st.DrawFn) -> list[StoredEvent]:
    """A subscription from its creation on, with many events in one second."""
    at = START
    current = snapshot(draw(st.sampled_from(["incomplete", "trialing", "active"])))
    events = [event(0, "created", at, current)]
    for number in range(1, draw(st.integers(1, 7))):
        at += draw(st.sampled_from([0, 0, 0, 1, 60]))
        status = draw(st.sampled_from([status for status in STATUSES if status != current["status"]]))
        cents = draw(st.sampled_from([1900, 7900]))
        following = snapshot(status, cents=cents)
        previous: dict[str, Any] = {"status": current["status"]}
        if following["items"] != current["items"]:
            previous["items"] = current["items"]
        events.append(event(number, "updated", at, following, previous))
        current = following
    if draw(st.booleans()):
        events.append(event(99, "deleted", at, {**current, "status": "canceled"}))
    return events


@settings(max_examples=300, deadline=None)
@given(life=lives(), data=st.data())
def test_once_all_have_arrived_the_end_is_right_or_flagged(life: list[StoredEvent], data: st.DataObject) -> None:
    arrived = data.draw(st.permutations(life))

    folded = subscriptions.project_subscription(arrived)

    assert folded is not None
    state = replace(folded.state, keeps_revenue=False)  # which earlier events say
    assert folded.ambiguous or state == subscriptions.subscription_state(life[-1].object) or is_over(folded, life[-1])


def is_over(folded: subscriptions.SubscriptionProjection, last: StoredEvent) -> bool:
    return last.has_verb("deleted") and folded.state.status == "canceled"


@settings(max_examples=200, deadline=None)
@given(life=lives(), data=st.data())
def test_the_order_of_arrival_changes_nothing(life: list[StoredEvent], data: st.DataObject) -> None:
    assert subscriptions.project_subscription(data.draw(st.permutations(life))) == subscriptions.project_subscription(
        life
    )


@settings(max_examples=200, deadline=None)
@given(life=lives())
def test_the_movements_add_up_to_what_is_earned(life: list[StoredEvent]) -> None:
    folded = subscriptions.project_subscription(life)

    assert sum(move.delta_cents for move in folded.changes) == folded.state.earning_cents
    running = 0
    for move in folded.changes:
        running += move.delta_cents
        if move.delta_cents:
            assert move.monthly_cents == running


def test_of_two_updates_in_one_second_the_later_is_the_one_that_follows() -> None:
    failed = event(1, "updated", START + 9, snapshot("past_due"), {"status": "active"})
    recovered = event(2, "updated", START + 9, snapshot("active", cents=7900), {"status": "past_due"})
    created = event(0, "created", START, snapshot("active"))

    folded = subscriptions.project_subscription([recovered, created, failed])

    assert (folded.state.status, folded.state.monthly_cents, folded.ambiguous) == ("active", 7900, False)


def test_a_gap_within_a_second_is_flagged_until_the_missing_event_comes() -> None:
    created = event(0, "created", START, snapshot("active"))
    first = event(1, "updated", START + 9, snapshot("past_due"), {"status": "active"})
    missing = event(2, "updated", START + 9, snapshot("unpaid"), {"status": "past_due"})
    third = event(3, "updated", START + 9, snapshot("paused"), {"status": "unpaid"})

    assert subscriptions.project_subscription([third, first, created]).ambiguous
    whole = subscriptions.project_subscription([third, first, created, missing])
    assert (whole.state.status, whole.ambiguous) == ("paused", False)


def fetched(number: int, at: int, object: dict[str, Any]) -> StoredEvent:
    return StoredEvent(f"evt_fetched_{number}", "customer.subscription.updated", at, object, {}, is_fetched=True)


def test_what_was_asked_within_one_second_counts_in_the_order_of_asking() -> None:
    asked = [fetched(number, START + 1, snapshot(status)) for number, status in enumerate(["active", "paused"])]

    folded = subscriptions.project_subscription([*asked[::-1], event(0, "created", START, snapshot("incomplete"))])

    assert (folded.state.status, folded.ambiguous) == ("paused", False)


@pytest.mark.parametrize(("asked", "end"), [("incomplete", "active"), ("active", "active")])
def test_an_event_of_the_second_of_a_fetch_is_ordered_by_what_it_says(asked: str, end: str) -> None:
    events = [
        fetched(1, START + 1, snapshot(asked)),
        event(1, "updated", START + 1, snapshot("active"), {"status": "incomplete"}),
        event(0, "created", START, snapshot("incomplete")),
    ]

    folded = subscriptions.project_subscription(events)

    assert (folded.state.status, folded.ambiguous) == (end, False)


def test_what_is_canceled_stays_canceled_whatever_comes_later() -> None:
    deleted = event(1, "deleted", START + 5, snapshot("canceled"))
    late = event(2, "updated", START + 6, snapshot("active"), {"status": "trialing"})

    assert subscriptions.project_subscription([late, deleted]).state.status == "canceled"


def test_a_deletion_lands_even_in_the_second_of_its_creation() -> None:
    events = [
        event(1, "deleted", START, snapshot("active")),
        event(2, "updated", START, snapshot("active"), {"status": "incomplete"}),
        event(0, "created", START, snapshot("incomplete")),
    ]

    folded = subscriptions.project_subscription(events)

    assert folded.state.status == "canceled"
    assert folded.state.ended_at is not None


def test_being_past_due_is_counted_from_its_first_event() -> None:
    events = [
        event(0, "created", START, snapshot("active")),
        event(1, "updated", START + 10, snapshot("past_due"), {"status": "active"}),
        event(2, "updated", START + 90, snapshot("past_due", metadata={"a": "b"}), {"metadata": {"a": None}}),
    ]

    assert subscriptions.project_subscription(events).past_due_since.timestamp() == START + 10


def test_the_ledger_tells_a_life_in_its_words() -> None:
    events = [
        event(0, "created", START, snapshot("trialing")),
        event(1, "updated", START + 1, snapshot("active", end=START + 200), {"status": "trialing"}),
        event(2, "updated", START + 2, snapshot("active", end=START + 300)),
        event(3, "updated", START + 3, snapshot("active", cents=7900, end=START + 300)),
        event(4, "updated", START + 4, snapshot("past_due", cents=7900, end=START + 300)),
        event(5, "updated", START + 5, snapshot("active", cents=7900, end=START + 300)),
        event(6, "updated", START + 6, snapshot("active", end=START + 300)),
        event(7, "updated", START + 7, snapshot("paused", end=START + 300)),
        event(8, "updated", START + 8, snapshot("active", end=START + 300)),
        event(9, "deleted", START + 9, snapshot("canceled", end=START + 300)),
    ]

    moves = [(move.kind, move.delta_cents) for move in subscriptions.project_subscription(events).changes]

    assert moves == [
        ("trial_started", 0),
        ("new", 1900),
        ("renewal", 0),
        ("upgrade", 6000),
        ("past_due", 0),
        ("recovered", 0),
        ("downgrade", -6000),
        ("canceled", -1900),
        ("reactivated", 1900),
        ("canceled", -1900),
    ]


@pytest.mark.parametrize(
    ("price", "quantity", "cents"),
    [
        ({"unit_amount": 1900, "recurring": {"interval": "month", "interval_count": 1}}, 3, 5700),
        ({"unit_amount": 12000, "recurring": {"interval": "year", "interval_count": 1}}, 1, 1000),
        ({"unit_amount": 3000, "recurring": {"interval": "month", "interval_count": 3}}, 1, 1000),
        ({"unit_amount": 1200, "recurring": {"interval": "week", "interval_count": 1}}, 1, 5200),
        ({"amount": 1900, "interval": "month", "interval_count": 1}, 2, 3800),
        ({"unit_amount": None, "unit_amount_decimal": "0.5", "recurring": {"interval": "month"}}, 1000, 500),
        ({"unit_amount": None, "recurring": {"interval": "month"}}, 1, 0),
        ({"unit_amount": 1900}, 1, 0),
    ],
)
def test_every_interval_counts_as_a_month(price: dict[str, Any], quantity: int, cents: int) -> None:
    assert monthly_amount({"items": {"data": [{"price": price, "quantity": quantity}]}}).cents == cents


@settings(max_examples=300, deadline=None)
@given(
    objects=st.lists(
        st.dictionaries(
            st.sampled_from(NAMES),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("\ud800\x00"),
                lambda inner: (
                    st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["data", "id", "price"]), inner)
                ),
                max_leaves=5,
            ),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_no_object_however_strange_breaks_a_fold(objects: list[dict[str, Any]]) -> None:
    events = [event(number, "updated", START, found, found) for number, found in enumerate(objects)]

    subscriptions.project_subscription(events)
    project_customer(events)
    project_payment_method(events)
    project_invoice(events)
    project_price(events)
    project_product(events)
    project_checkout_session(events)


@pytest.mark.parametrize(
    ("verbs", "status"),
    [
        (["draft", "open", "paid"], "paid"),
        (["paid", "open", "draft"], "paid"),
        (["open", "uncollectible"], "uncollectible"),
        (["void", "open"], "void"),
        (["paid", "void"], "paid"),
    ],
)
def test_an_invoice_is_the_furthest_that_any_event_tells(verbs: list[str], status: str) -> None:
    events = [
        StoredEvent(f"evt_{number}", "invoice.updated", START + number, {"id": "in_1", "status": verb}, {})
        for number, verb in enumerate(verbs)
    ]

    assert project_invoice(events).status == status


def test_a_detached_payment_method_is_still_its_customers() -> None:
    card = {"id": "pm_1", "type": "card", "card": {"brand": "visa", "last4": "4242", "exp_month": 4, "exp_year": 2030}}
    attached = StoredEvent("evt_1", "payment_method.attached", START, {**card, "customer": "cus_1"}, {})
    detached = StoredEvent("evt_2", "payment_method.detached", START, {**card, "customer": None}, {"customer": "cus_1"})

    folded = project_payment_method([detached, attached])

    assert (folded.customer_id, folded.last4, folded.brand) == ("cus_1", "4242", "visa")
    assert folded.detached_at is not None


@pytest.mark.parametrize(
    ("verb", "payment", "status"),
    [
        ("completed", "paid", "active"),
        ("completed", "no_payment_required", "active"),
        ("completed", "unpaid", "pending"),
        ("async_payment_succeeded", "paid", "active"),
        ("async_payment_failed", "unpaid", "failed"),
        ("expired", "unpaid", "expired"),
    ],
)
def test_a_checkout_session_is_active_once_it_is_paid(verb: str, payment: str, status: str) -> None:
    told = StoredEvent("evt_1", f"checkout.session.{verb}", START, {"id": "cs_1", "payment_status": payment}, {})

    assert project_checkout_session([told]).status == status
