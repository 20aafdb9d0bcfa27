"""Changing the plan of a subscription that Stripe has, item by item."""

from collections.abc import Iterator
from typing import Any

import pytest

from saas.billing.models import Customer, Price, Subscription
from saas.billing.tests import stripe_params
from saas.billing.tests.stripe_stand_in import StandIn, bill_through_stripe, stand_in
from saas.testing.clients import ServiceClient
from saas.testing.factories import event_factories
from saas.testing.factories import stripe_object_factories as whole
from saas.testing.factories.user_factories import Person
from saas.webhook_events.actions import append_event
from saas.webhook_events.models import WebhookEvent

SEATS = whole.subscription_item(whole.price("price_seats", 500, product="prod_seats"), 3, id="si_seats")
SCALE = whole.price("price_scale", 24_900, product="prod_scale")
UNKNOWN = whole.subscription_item(whole.price("price_strange", product="prod_strange"), id="si_strange")


@pytest.fixture(autouse=True)
def catalogue(customer: Person) -> None:
    Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")
    for plan in ("starter", "growth", "scale"):
        Price.objects.create(provider="stripe", external_id=f"price_{plan}", plan_id=plan, is_current=True)


@pytest.fixture
def provider(settings: Any) -> Iterator[StandIn]:
    with stand_in({"POST /v1/invoices/create_preview": whole.invoice(1234)}) as here:
        bill_through_stripe(settings, here.url)
        yield here
    told = [stripe_params.faults(f"{asked.method} {asked.path}", asked.fields) for asked in here.asked]
    assert [fault for faults in told for fault in faults] == []


def subscribed(*items: dict[str, Any], version: str = whole.CURRENT) -> Subscription:
    thing = whole.subscription(*items, version=version)
    append_event(
        whole.event("customer.subscription.created", thing, version=version), source=WebhookEvent.Source.DELIVERY
    )
    event_factories.drain()
    return Subscription.objects.get()


def items_sent(provider: StandIn) -> dict[str, str]:
    return {name: value for name, value in provider.asked[-1].fields.items() if "items" in name}


def change(product: ServiceClient, customer: Person, path: str = "") -> Any:
    return product.post(f"/api/subscriptions/change{path}", {"plan_id": "scale"}, token=customer.token)


@pytest.mark.parametrize("version", [whole.CURRENT, whole.LEGACY])
def test_only_the_plans_own_item_is_changed(
    product: ServiceClient, customer: Person, provider: StandIn, version: str
) -> None:
    subscribed(SEATS, whole.subscription_item(whole.price(), 2, id="si_plan"), version=version)
    changed = whole.subscription(SEATS, whole.subscription_item(SCALE, 2, id="si_plan"))
    provider.answers["POST /v1/subscriptions/sub_1"] = changed

    answer = change(product, customer)

    assert (answer.status_code, answer.json()["subscription"]["plan"]["id"]) == (200, "scale")
    assert items_sent(provider) == {
        "items[0][id]": "si_plan",
        "items[0][price]": "price_scale",
        "items[0][quantity]": "2",
    }
    row = Subscription.objects.get()
    assert (row.item_id, row.quantity, row.monthly_cents) == ("si_plan", 2, 2 * 24_900 + 3 * 500)


def test_the_preview_asks_about_the_plans_own_item(product: ServiceClient, customer: Person, provider: StandIn) -> None:
    subscribed(SEATS, whole.subscription_item(whole.price(), 2, id="si_plan"))

    answer = change(product, customer, "/preview")

    assert answer.json()["preview"]["next_invoice_cents"] == 1234
    assert items_sent(provider) == {
        "subscription_details[items][0][id]": "si_plan",
        "subscription_details[items][0][price]": "price_scale",
        "subscription_details[items][0][quantity]": "2",
    }
    Price.objects.filter(external_id="price_scale").update(is_per_unit=True)
    change(product, customer, "/preview")
    assert items_sent(provider)["subscription_details[items][0][quantity]"] == "1"  # two of a plan are no two seats


def test_a_single_item_of_an_unknown_price_is_the_plans(
    product: ServiceClient, customer: Person, provider: StandIn
) -> None:
    subscribed(UNKNOWN)
    provider.answers["POST /v1/subscriptions/sub_1"] = whole.subscription(
        whole.subscription_item(SCALE, id="si_strange")
    )

    answer = change(product, customer)

    assert answer.json()["subscription"]["plan"]["id"] == "scale"
    assert items_sent(provider)["items[0][id]"] == "si_strange"


def test_where_nobody_knows_the_plans_item_nothing_is_changed(
    product: ServiceClient, customer: Person, provider: StandIn
) -> None:
    subscribed(SEATS, UNKNOWN)
    provider.answers["GET /v1/subscriptions/sub_1"] = whole.subscription(SEATS, UNKNOWN)

    answer = change(product, customer)

    assert (answer.status_code, answer.json()["code"]) == (409, "plan_item_unknown")
    assert [f"{asked.method} {asked.path}" for asked in provider.asked] == ["GET /v1/subscriptions/sub_1"]


def test_the_kept_plan_can_be_bought_at_our_price(product: ServiceClient, customer: Person, provider: StandIn) -> None:
    subscribed(whole.subscription_item(SCALE, id="si_strange"))
    thing = whole.subscription(UNKNOWN)
    event = whole.event("customer.subscription.updated", thing, id="evt_2", at=whole.AT + 60)
    append_event(event, source=WebhookEvent.Source.DELIVERY)
    event_factories.drain()
    provider.answers["POST /v1/subscriptions/sub_1"] = whole.subscription(
        whole.subscription_item(SCALE, id="si_strange")
    )

    answer = change(product, customer)

    assert answer.status_code == 200
    assert Subscription.objects.get().plan_is_known
