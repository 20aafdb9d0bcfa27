"""Concurrent upserts and checkouts, on PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.db import connection

from saas.billing.catalogue import prices, seed_plans
from saas.billing.invoices import billed_to
from saas.billing.linking.customers import CustomerIsLinked, link_customer
from saas.billing.models import (
    BillingDetails,
    Checkout,
    Customer,
    Invoice,
    InvoiceAdjustment,
    LedgerEntry,
    LocalObject,
    Price,
    Subscription,
)
from saas.billing.sync import upsert
from saas.billing.sync.rebuild import rebuild_rows
from saas.billing.webhook_handlers import handle_price_event
from saas.testing.clients import ServiceClient
from saas.testing.concurrency import second_waits_for_first
from saas.testing.factories import stripe_object_factories as whole
from saas.testing.factories.subscription_factories import subscription_event
from saas.testing.factories.user_factories import Person
from saas.webhook_events.actions import append_event
from saas.webhook_events.envelope import load_event_data
from saas.webhook_events.models import WebhookEvent

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
MANY = 10


@pytest.fixture(autouse=True)
def plans(transactional_db: None) -> None:
    seed_plans()


def at_once(sends: list[dict[str, Any]]) -> list[Any]:
    """Each is sent by a thread of its own, with a connection of its own."""

    def send(options: dict[str, Any]) -> Any:
        try:
            return ServiceClient("product").post(**options)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(sends)) as pool:
        return list(pool.map(send, sends))


def checkout(person: Person, key: str = "", plan: str = "starter") -> dict[str, Any]:
    headers = {"Idempotency-Key": key} if key else {}
    return {
        "path": "/api/subscriptions/checkout",
        "body": {"plan_id": plan},
        "token": person.token,
        "headers": headers,
    }


@pytest.mark.parametrize("keys", [[""] * MANY, ["one"] * MANY, [f"click-{number}" for number in range(MANY)]])
def test_ten_checkouts_at_once_make_one_subscription(customer: Person, keys: list[str]) -> None:
    answers = at_once([checkout(customer, key) for key in keys])

    assert {answer.status_code for answer in answers} <= {201, 409}
    made = [answer.json()["checkout"] for answer in answers if answer.status_code == 201]
    assert len({row["id"] for row in made}) == 1
    assert {row["status"] for row in made} == {"active"}
    assert (Subscription.objects.count(), Checkout.objects.count(), Customer.objects.count()) == (1, 1, 1)
    assert LocalObject.objects.of_kind("subscription").count() == 1
    assert not WebhookEvent.objects.exclude(status="processed").exists()
    if keys == ["one"] * MANY:
        assert len(made) == MANY


def test_two_plans_at_once_make_one_subscription(customer: Person) -> None:
    plans = ["starter", "growth", "scale"] * 3

    answers = at_once([checkout(customer, plan=plan) for plan in plans])

    assert {answer.status_code for answer in answers} <= {201, 409}
    assert Subscription.objects.live().count() == 1
    assert Checkout.objects.filter(status="active").count() == 1


def test_people_who_buy_at_once_do_not_wait_for_each_other_in_vain(customer: Person, other: Person) -> None:
    answers = at_once([checkout(person) for person in (customer, other)])

    assert [answer.json()["checkout"]["status"] for answer in answers] == ["active", "active"]


def test_who_inserts_a_row_second_writes_into_the_row_of_the_first() -> None:
    second_waits_for_first(
        partial(upsert.upsert_row, Invoice, "in_1", {"status": "open", "total_cents": 500}),
        partial(upsert.upsert_row, Invoice, "in_1", {"status": "paid", "number": "2"}),
    )

    row = Invoice.objects.get()
    assert (row.status, row.number, row.total_cents) == ("paid", "2", 500)


def test_two_subscriptions_of_one_customer_written_at_once_add_up() -> None:
    """What each adds to the customer's revenue depends on the other's entries: the second waits for the first."""
    for event in (
        subscription_event("sub_1", "active", 0),
        subscription_event("sub_2", "active", 1, cents=7900, verb="created"),
    ):
        append_event(event, source=WebhookEvent.Source.DELIVERY)
    upsert.ensure_customer("cus_1")

    second_waits_for_first(partial(upsert.upsert_subscription, "sub_1"), partial(upsert.upsert_subscription, "sub_2"))

    entries = LedgerEntry.objects.order_by("at").values_list("subscription__external_id", "movement", "customer_cents")
    assert list(entries) == [("sub_1", "new", 1900), ("sub_2", "expansion", 9800)]
    assert list(rebuild_rows(repair=False)) == []


def test_two_refunds_of_one_invoice_at_once_are_both_taken_off() -> None:
    upsert.ensure_invoice("in_1")
    Invoice.objects.update(amount_paid_cents=7_900)
    invoice = Invoice.objects.get()

    def refund(id: str, cents: int) -> None:
        InvoiceAdjustment.objects.create(external_id=id, kind="refund", invoice=invoice, returned_cents=cents)
        upsert.write_returned(invoice)

    second_waits_for_first(partial(refund, "re_1", 1_900), partial(refund, "re_2", 1_000))

    assert Invoice.objects.get().returned_cents == 2_900


def test_a_tax_id_given_and_taken_back_at_once_is_noted_for_deletion(customer: Person) -> None:
    def save(kind: str, number: str) -> None:
        billed_to.save_billing_details(customer.user, by=customer.user, tax_id_kind=kind, tax_id=number)

    save("", "")

    second_waits_for_first(partial(save, "eu_vat", "DE136695976"), partial(save, "", ""))

    assert BillingDetails.objects.values_list("tax_id", "had_tax_id").get() == ("", True)


def test_of_two_concurrent_links_of_a_customer_the_second_is_refused(customer: Person, other: Person) -> None:
    stub = upsert.ensure_customer("cus_1")
    assert stub

    def link_to_other() -> None:
        with pytest.raises(CustomerIsLinked):
            link_customer(stub, owner=other.user, evidence="staff")

    second_waits_for_first(partial(link_customer, stub, owner=customer.user, evidence="staff"), link_to_other)

    assert Customer.objects.get().user == customer.user


def test_a_prices_event_takes_the_plan_before_the_price_as_staff_do() -> None:
    """In the other order both would wait for each other."""
    Price.objects.create(provider="local", external_id="price_1", plan_id="growth", is_current=True)
    told = whole.event("price.updated", whole.price("price_1", 8_900))
    event = append_event(told, source=WebhookEvent.Source.DELIVERY)

    second_waits_for_first(
        partial(prices.lock_plan, "growth"),
        lambda: handle_price_event(event, load_event_data(event)),
        then=lambda: Price.objects.filter(external_id="price_1").update(version=2),
    )

    assert Price.objects.filter(external_id="price_1").values_list("unit_amount_cents", "version").get() == (8_900, 2)
