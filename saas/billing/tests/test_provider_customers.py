"""Customers whom Stripe has no longer, calls whose answer was lost or is repeated, and changed addresses and names."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from saas.audit.models import AuditEvent
from saas.billing.catalogue.prices import commit_price, ensure_provider_price
from saas.billing.customers import replace_customer
from saas.billing.models import Checkout, Customer, Price, PriceTerms
from saas.billing.providers import ProviderFailed, fetched_objects
from saas.billing.sync import profiles
from saas.billing.tests.fake_stripe import BROKEN, FakeStripe
from saas.billing.tests.stripe_stand_in import bill_through_stripe, stand_in
from saas.testing.clients import ServiceClient
from saas.testing.factories import event_factories
from saas.testing.factories import stripe_object_factories as whole
from saas.testing.factories.user_factories import Person
from saas.webhook_events.actions import append_event
from saas.webhook_events.models import WebhookEvent


@pytest.fixture
def fake(settings: Any) -> Iterator[FakeStripe]:
    answers = {
        "POST /v1/customers": whole.customer(),
        "POST /v1/customers/cus_1": whole.customer(),
        "GET /v1/customers": whole.list_page([], "/v1/customers"),
        "GET /v1/customers/search": {**whole.list_page([], "/v1/customers/search"), "object": "search_result"},
        "POST /v1/checkout/sessions": whole.checkout_session(),
        "POST /v1/billing_portal/sessions": whole.portal_session(),
    }
    with stand_in(answers, FakeStripe) as here:
        bill_through_stripe(settings, here.url)
        yield here


@pytest.fixture
def buyer(fake: FakeStripe, customer: Person) -> Person:
    Price.objects.create(provider="stripe", external_id="price_growth", plan_id="growth", is_current=True)
    return customer


def buy(product: ServiceClient, person: Person) -> Any:
    return product.post("/api/subscriptions/checkout", {"plan_id": "growth"}, token=person.token)


def calls(fake: FakeStripe, path: str) -> list[Any]:
    return [asked for asked in fake.asked if asked.path == path and asked.method == "POST"]


def known_customer(person: Person, external_id: str = "cus_old", **fields: Any) -> Customer:
    told = {"told_email": person.user.email, "told_name": person.user.full_name}
    return Customer.objects.create(
        user=person.user, provider="stripe", external_id=external_id, email=person.user.email, **told, **fields
    )


@pytest.mark.parametrize("path", ["/api/subscriptions/checkout", "/api/billing/portal"])
def test_a_customer_that_stripe_has_no_longer_is_replaced(
    product: ServiceClient, buyer: Person, fake: FakeStripe, path: str
) -> None:
    old = known_customer(buyer)
    fake.missing_customers.add("cus_old")

    answer = product.post(path, {"plan_id": "growth"} if "checkout" in path else None, token=buyer.token)

    assert answer.status_code == 201
    new = Customer.objects.current().get(user=buyer.user)
    assert (new.external_id, fake.asked[-1].fields["customer"]) == ("cus_1", "cus_1")
    old.refresh_from_db()
    assert (old.external_id, old.user_id, old.replaced_at is None) == ("cus_old", buyer.user.pk, False)
    audited = AuditEvent.objects.get(action="customer.replaced")
    assert (audited.target, audited.data) == (new.pk, {"before": old.pk, "external_id": "cus_old"})


def test_a_deleted_customer_is_replaced_without_asking(product: ServiceClient, buyer: Person, fake: FakeStripe) -> None:
    known_customer(buyer)
    append_event(whole.event("customer.deleted", whole.customer(id="cus_old")), source=WebhookEvent.Source.DELIVERY)
    event_factories.drain()

    answer = buy(product, buyer)

    assert answer.status_code == 201
    assert [asked.fields.get("customer") for asked in fake.asked] == [None, "cus_1"]


def test_a_replaced_customers_open_checkout_goes_on(product: ServiceClient, buyer: Person, fake: FakeStripe) -> None:
    known_customer(buyer)
    fake.missing_customers.add("cus_old")

    bought = buy(product, buyer).json()["checkout"]

    checkout = Checkout.objects.get()
    assert (bought["id"], checkout.status, checkout.customer.external_id) == (checkout.pk, "pending", "cus_1")
    keys = [asked.headers["Idempotency-Key"] for asked in calls(fake, "/v1/checkout/sessions")]
    # Stripe refuses a key that comes with another customer.
    assert keys == [f"checkout:{checkout.pk}", f"checkout:{checkout.pk}:1"]


def test_a_customer_is_replaced_once_and_keeps_an_open_checkout(buyer: Person) -> None:
    old = known_customer(buyer)
    Checkout.objects.create(customer=old, plan_id="growth", external_id="cs_old")

    new = replace_customer(old)

    assert replace_customer(old) == new
    assert Checkout.objects.get().customer == old
    assert AuditEvent.objects.filter(action="customer.replaced").count() == 1


def test_an_answer_of_500_ends_its_idempotency_key(product: ServiceClient, buyer: Person, fake: FakeStripe) -> None:
    good = fake.answers["POST /v1/customers"]
    fake.answers["POST /v1/customers"] = [BROKEN]

    refused = buy(product, buyer)
    fake.answers["POST /v1/customers"] = good
    answer = buy(product, buyer)

    assert (refused.status_code, answer.status_code) == (503, 201)
    pk = Customer.objects.get().pk
    keys = [asked.headers["Idempotency-Key"] for asked in calls(fake, "/v1/customers")]
    assert sorted(set(keys)) == [f"customer:{pk}", f"customer:{pk}:1"]


def test_a_name_that_was_corrected_meanwhile_ends_the_key(
    product: ServiceClient, buyer: Person, fake: FakeStripe
) -> None:
    row = Customer.objects.create(user=buyer.user, provider="stripe")
    fake.stored[f"customer:{row.pk}"] = ({"name": "Kim Exmaple"}, (200, whole.customer(id="cus_lost")))

    answer = buy(product, buyer)

    row.refresh_from_db()
    assert (answer.status_code, row.external_id, row.creation_attempt) == (201, "cus_1", 1)
    assert row.told_name == ""  # what another call may have told is sent once more


@pytest.mark.parametrize("path", ["GET /v1/customers", "GET /v1/customers/search"])
def test_the_customer_of_a_lost_answer_is_found_again(
    product: ServiceClient, buyer: Person, fake: FakeStripe, path: str
) -> None:
    row = Customer.objects.create(user=buyer.user, provider="stripe")
    fake.stored[f"customer:{row.pk}"] = ({"name": "Kim Exmaple"}, (200, whole.customer(id="cus_lost")))
    others = [whole.customer(id="cus_other"), whole.customer(id="cus_lost", metadata={"customer_id": row.pk})]
    fake.answers[path] = {**fake.answers[path], "data": others}

    answer = buy(product, buyer)

    row.refresh_from_db()
    assert (answer.status_code, row.external_id) == (201, "cus_lost")
    assert len(calls(fake, "/v1/customers")) == 1


def test_a_checkouts_answer_of_500_ends_its_key(product: ServiceClient, buyer: Person, fake: FakeStripe) -> None:
    good = fake.answers["POST /v1/checkout/sessions"]
    fake.answers["POST /v1/checkout/sessions"] = [BROKEN]

    refused = buy(product, buyer)
    fake.answers["POST /v1/checkout/sessions"] = good
    answer = buy(product, buyer)

    assert (refused.status_code, answer.status_code) == (503, 201)
    pk = Checkout.objects.get().pk
    keys = {asked.headers["Idempotency-Key"] for asked in calls(fake, "/v1/checkout/sessions")}
    assert keys == {f"checkout:{pk}", f"checkout:{pk}:1"}


def test_a_price_that_stripe_does_not_have_is_named(product: ServiceClient, buyer: Person, fake: FakeStripe) -> None:
    fake.prices = {"price_other"}

    answer = buy(product, buyer)

    assert (answer.status_code, answer.json()["code"]) == (409, "provider_refused")
    assert "No such price: 'price_growth'" in str(answer.json())


def test_a_changed_address_is_sent_to_stripe_once(buyer: Person, fake: FakeStripe) -> None:
    row = known_customer(buyer, "cus_1")
    buyer.user.email, buyer.user.full_name = "new@example.net", "Kim New"
    buyer.user.save()
    fake.answers["POST /v1/customers/cus_1"] = whole.customer(email="new@example.net", name="Kim New")

    assert [profiles.send_changed_profiles(), profiles.send_changed_profiles()] == [1, 0]

    [sent] = fake.asked
    assert (sent.path, sent.fields) == ("/v1/customers/cus_1", {"email": "new@example.net", "name": "Kim New"})
    row.refresh_from_db()
    assert row.email == "new@example.net"


def test_a_change_waits_longer_after_each_failure(buyer: Person, fake: FakeStripe) -> None:
    row = known_customer(buyer, "cus_1")
    buyer.user.full_name = "Kim New"
    buyer.user.save()
    good, fake.answers["POST /v1/customers/cus_1"] = fake.answers["POST /v1/customers/cus_1"], [BROKEN]

    assert profiles.send_changed_profiles() == 0
    assert profiles.send_changed_profiles() == 0

    row.refresh_from_db()
    assert (row.profile_failures, row.profile_due_at > timezone.now() + timedelta(seconds=50)) == (1, True)
    assert len({asked.headers["Idempotency-Key"] for asked in fake.asked}) == 1
    Customer.objects.update(profile_due_at=timezone.now())
    fake.answers["POST /v1/customers/cus_1"] = good
    assert profiles.send_changed_profiles() == 1
    row.refresh_from_db()
    assert row.profile_failures == 0  # the next change waits for nothing


def test_nothing_is_sent_of_a_banned_person(buyer: Person, fake: FakeStripe) -> None:
    known_customer(buyer, "cus_1")
    type(buyer.user).objects.filter(pk=buyer.user.pk).update(full_name="Kim New", status="disabled")

    assert profiles.send_changed_profiles() == 0
    assert fake.asked == []


@pytest.mark.django_db
@pytest.mark.parametrize("is_live", [True, False])
def test_an_answer_that_names_no_mode_is_of_the_services_mode(settings: Any, is_live: bool) -> None:
    settings.STRIPE_LIVEMODE = is_live
    tombstone = {"id": "cus_1", "object": "customer", "deleted": True}
    refund = {name: value for name, value in whole.refund(500).items() if name != "livemode"}

    for answer in (tombstone, refund):
        fetched_objects.store_fetched_object(answer, asked_at=timezone.now())
    event_factories.drain()

    assert set(WebhookEvent.objects.values_list("type", "status")) == {
        ("customer.deleted", "processed"),
        ("refund.updated", "processed"),
    }


def test_an_answer_of_500_stops_a_sale_for_a_quarter_of_an_hour_at_most(fake: FakeStripe, customer: Person) -> None:
    product = {"object": "product", "id": "saas_plan_growth", "name": "Growth"}
    fake.answers |= {
        "POST /v1/products/saas_plan_growth": product,
        "GET /v1/prices": whole.list_page([], "/v1/prices"),
        "POST /v1/prices": [BROKEN],
    }
    price = commit_price("growth", PriceTerms("usd", "month", 9_900), by="system")
    with time_machine.travel(timezone.now()), pytest.raises(ProviderFailed):
        ensure_provider_price(price)
    fake.answers["POST /v1/prices"] = whole.price("price_new")

    with time_machine.travel(timezone.now() + timedelta(minutes=15)):
        assert ensure_provider_price(price).external_id == "price_new"
