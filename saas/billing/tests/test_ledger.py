"""The ledger in the database: written from events in any order, and repaired by the rebuild."""

import contextlib
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saas.billing.models import Customer, LedgerEntry, Subscription
from saas.testing.factories import event_factories
from saas.testing.factories.subscription_factories import subscription_event
from saas.testing.factories.user_factories import Person
from saas.webhook_events.actions import append_event
from saas.webhook_events.models import WebhookEvent

DELIVERY = WebhookEvent.Source.DELIVERY
CAME_BACK = [
    subscription_event("sub_1", "trialing", 0),
    subscription_event("sub_1", "active", 14),
    subscription_event("sub_1", "past_due", 44),
    subscription_event("sub_1", "canceled", 58),
    subscription_event("sub_2", "active", 90, cents=7900, verb="created"),
    subscription_event("sub_3", "active", 95, cents=24_000, interval="year", quantity=2, verb="created"),
    subscription_event("sub_2", "active", 100, cents=1900),
    subscription_event("sub_3", "canceled", 120, cents=24_000, interval="year", quantity=2),
]
ITS_BOOKS = [
    ("sub_1", "trial_started", "", 0, 0),
    ("sub_1", "new", "new", 1900, 1900),
    ("sub_1", "past_due", "", 0, 1900),
    ("sub_1", "canceled", "churn", -1900, 0),
    ("sub_2", "reactivated", "reactivation", 7900, 7900),
    ("sub_3", "new", "expansion", 4000, 11_900),
    ("sub_2", "downgrade", "contraction", -6000, 5900),
    ("sub_3", "canceled", "contraction", -4000, 1900),
]


def take_in(events: list[dict[str, Any]]) -> None:
    for event in events:
        append_event(event, source=DELIVERY)
        event_factories.drain()


def books() -> list[tuple[Any, ...]]:
    entries = LedgerEntry.objects.order_by("at", "subscription__external_id", "number")
    return list(entries.values_list("subscription__external_id", "kind", "movement", "delta_cents", "customer_cents"))


def check() -> list[str]:
    out = StringIO()
    with contextlib.suppress(SystemExit):
        call_command("billing_rebuild", "--check", stdout=out)
    return out.getvalue().splitlines()


def test_a_customer_who_leaves_comes_back_and_buys_twice_is_told_so(db: None) -> None:
    take_in(CAME_BACK)

    assert books() == ITS_BOOKS
    assert len(set(LedgerEntry.objects.values_list("cohort", flat=True))) == 1


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_order_of_delivery_and_no_repetition_changes_the_books(db: None, data: st.DataObject) -> None:
    LedgerEntry.objects.all().delete()
    Subscription.objects.all().delete()
    WebhookEvent.objects.all().delete()
    repeats = data.draw(st.lists(st.sampled_from(CAME_BACK), max_size=4))

    take_in(data.draw(st.permutations(CAME_BACK + repeats)))

    assert books() == ITS_BOOKS
    earning = Subscription.objects.earning().aggregate(cents=Sum("monthly_cents"))["cents"]
    assert LedgerEntry.objects.aggregate(cents=Sum("delta_cents"))["cents"] == earning == 1900


def test_replaying_everything_writes_nothing(db: None) -> None:
    take_in(CAME_BACK)
    rows = set(LedgerEntry.objects.values_list("pk", flat=True))

    WebhookEvent.objects.update(status="replay_queued")
    event_factories.make_events_due()
    event_factories.drain()

    assert set(LedgerEntry.objects.values_list("pk", flat=True)) == rows


def test_an_event_that_appends_leaves_earlier_lines_alone(db: None) -> None:
    take_in(CAME_BACK[:2])
    rows = set(LedgerEntry.objects.values_list("pk", flat=True))

    take_in(CAME_BACK[2:3])

    assert rows < set(LedgerEntry.objects.values_list("pk", flat=True))


def test_what_a_stub_paid_is_its_owners_once_it_is_linked(customer: Person) -> None:
    ours = Customer.objects.create(user=customer.user, provider="stripe")
    made = {"id": "cus_1", "object": "customer", "metadata": {"customer_id": ours.pk}}
    take_in(CAME_BACK)
    assert not LedgerEntry.objects.linked().exists()

    take_in([event_factories.event("evt_made", "customer.created", object=made)])

    assert LedgerEntry.objects.linked().filter(customer=ours).count() == len(ITS_BOOKS)
    assert books() == ITS_BOOKS
    assert check() == ["0 differences"]


def test_a_subscription_takes_its_ledger_lines_to_another_customer(db: None) -> None:
    take_in([
        subscription_event("sub_1", "active", 0),
        subscription_event("sub_2", "active", 5),
        subscription_event("sub_2", "active", 9, cents=7900, customer="cus_2"),
    ])  # fmt: skip

    assert books() == [
        ("sub_1", "new", "new", 1900, 1900),
        ("sub_2", "new", "new", 1900, 1900),
        ("sub_2", "upgrade", "expansion", 6000, 7900),
    ]
    assert check() == ["0 differences"]


def test_what_is_left_of_the_customer_whose_it_was_is_told_anew(db: None) -> None:
    take_in([
        subscription_event("sub_1", "active", 0),
        subscription_event("sub_2", "active", 5),
        subscription_event("sub_1", "active", 9, customer="cus_2"),
    ])  # fmt: skip

    assert books() == [("sub_1", "new", "new", 1900, 1900), ("sub_2", "new", "new", 1900, 1900)]
    assert check() == ["0 differences"]


def test_another_currency_is_other_books(db: None) -> None:
    take_in([
        subscription_event("sub_1", "active", 0),
        subscription_event("sub_1", "active", 5, cents=2500, currency="eur"),
    ])  # fmt: skip

    sums = LedgerEntry.objects.order_by("currency").values_list("currency").annotate(cents=Sum("delta_cents"))
    assert list(sums) == [("eur", 2500), ("usd", 0)]
    assert {(kind, movement) for _, kind, movement, *_ in books()} == {
        ("new", "new"),
        ("canceled", "churn"),
        ("reactivated", "new"),
    }


@pytest.mark.parametrize(
    "change",
    [
        {"delta_cents": 1},
        {"monthly_cents": 1},
        {"customer_cents": 1},
        {"movement": "contraction"},
        {"kind": "upgrade"},
        {"is_linked": True},
        {"cohort": None},
        {"currency": "eur"},
        {"number": 99},
        {"event_id": "evt_else"},
    ],
)
def test_the_rebuild_finds_and_repairs_any_difference_in_the_ledger(db: None, change: dict[str, Any]) -> None:
    take_in(CAME_BACK)
    LedgerEntry.objects.filter(subscription__external_id="sub_1", kind="canceled").update(**change)

    assert "ledger of sub_1 differs" in check()
    call_command("billing_rebuild", stdout=StringIO())

    assert check() == ["0 differences"]
    assert books() == ITS_BOOKS


def test_the_rebuild_finds_lines_that_are_missing_or_too_many(db: None) -> None:
    take_in(CAME_BACK)
    LedgerEntry.objects.filter(subscription__external_id="sub_1").delete()
    extra = LedgerEntry.objects.filter(subscription__external_id="sub_3").last()
    assert extra
    extra.pk, extra.number, extra.event_id = None, 7, "evt_made_up"
    extra.save(force_insert=True)

    found = check()
    call_command("billing_rebuild", stdout=StringIO())

    assert {"ledger of sub_1 differs", "ledger of sub_3 differs"} <= set(found)
    assert (check(), books()) == (["0 differences"], ITS_BOOKS)


def test_a_line_of_a_subscription_that_tells_nothing_is_found(db: None) -> None:
    take_in([subscription_event("sub_1", "incomplete", 0)])
    row = Subscription.objects.get()
    take_in([subscription_event("sub_2", "active", 0)])
    LedgerEntry.objects.update(subscription=row)

    assert check() == ["ledger of sub_1 differs", "ledger of sub_2 differs", "2 differences"]
