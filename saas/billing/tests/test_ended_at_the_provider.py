"""Subscriptions that have ended at the provider without an event that reached us."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from saas.accounts.privacy.account_deletion import delete_account
from saas.billing.catalogue.promotions import create_promotion_code
from saas.billing.entitlements import has_feature
from saas.billing.models import Checkout, Customer, Price, PromotionCode, Subscription
from saas.billing.personal_data import StillSubscribed
from saas.billing.tests.fake_stripe import BROKEN, SUBSCRIPTION_CANCELED, SUBSCRIPTION_MISSING
from saas.billing.tests.stripe_stand_in import StandIn, bill_through_stripe, stand_in
from saas.testing.clients import ServiceClient
from saas.testing.factories import stripe_object_factories as whole
from saas.testing.factories.stripe_event_factories import receive_event
from saas.testing.factories.user_factories import Person

PATH = "/v1/subscriptions/sub_1"


@pytest.fixture
def provider(customer: Person, settings: Any) -> Iterator[StandIn]:
    """Stripe, where the customer's subscription has ended; here it goes on."""
    Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")
    for plan in ("starter", "growth"):
        Price.objects.create(provider="stripe", external_id=f"price_{plan}", plan_id=plan, is_current=True)
    receive_event("customer.subscription.created", whole.subscription())
    with stand_in({f"GET {PATH}": whole.subscription(status="canceled", ended_at=whole.AT + 60)}) as here:
        bill_through_stripe(settings, here.url)
        yield here


@pytest.mark.parametrize(
    ("call", "body", "asked", "refusal"),
    [
        ("cancel", {"at_period_end": False}, f"DELETE {PATH}", SUBSCRIPTION_MISSING),
        ("cancel", {"at_period_end": True}, f"POST {PATH}", SUBSCRIPTION_CANCELED),
        ("change", {"plan_id": "starter"}, f"POST {PATH}", SUBSCRIPTION_CANCELED),
        ("change/preview", {"plan_id": "starter"}, "POST /v1/invoices/create_preview", SUBSCRIPTION_CANCELED),
    ],
)
def test_what_is_refused_because_it_is_over_is_over_here_too(
    product: ServiceClient, customer: Person, provider: StandIn, call: str, body: Any, asked: str, refusal: Any
) -> None:
    provider.answers[asked] = [refusal]

    answer = product.post(f"/api/subscriptions/{call}", body, token=customer.token)

    assert (answer.status_code, answer.json()["code"]) == (409, "not_subscribed")
    assert Subscription.objects.get().status == "canceled"


def test_a_refusal_of_a_subscription_that_goes_on_is_shown(
    product: ServiceClient, customer: Person, provider: StandIn
) -> None:
    provider.answers |= {f"GET {PATH}": whole.subscription(), f"DELETE {PATH}": [SUBSCRIPTION_CANCELED]}

    answer = product.post("/api/subscriptions/cancel", {"at_period_end": False}, token=customer.token)

    assert (answer.status_code, answer.json()["code"]) == (409, "provider_refused")
    assert Subscription.objects.get().status == "active"


def test_an_account_can_be_deleted_once_its_subscription_is_canceled(
    product: ServiceClient, customer: Person, provider: StandIn
) -> None:
    with pytest.raises(StillSubscribed):
        delete_account(customer.user)
    provider.answers[f"DELETE {PATH}"] = [SUBSCRIPTION_MISSING]

    product.post("/api/subscriptions/cancel", {"at_period_end": False}, token=customer.token)

    delete_account(customer.user)


@pytest.mark.parametrize("code", ["", "SPRING"])
@pytest.mark.parametrize(("status", "answer"), [("canceled", 201), ("active", 409), ("unpaid", 409)])
def test_a_new_checkout_asks_the_provider_whether_the_old_one_goes_on(
    product: ServiceClient, customer: Person, provider: StandIn, status: str, answer: int, code: str
) -> None:
    create_promotion_code("SPRING", by="system", percent_off=Decimal(25), duration="forever")
    PromotionCode.objects.update(external_id="promo_1")
    provider.answers |= {
        f"GET {PATH}": whole.subscription(status=status),
        "POST /v1/checkout/sessions": whole.checkout_session(id="cs_1", url="https://checkout.example.com/cs_1"),
    }

    body = {"plan_id": "growth", "promotion_code": code}
    started = product.post("/api/subscriptions/checkout", body, token=customer.token)

    assert started.status_code == answer
    assert Checkout.objects.count() == (answer == 201)
    assert has_feature(customer.user, "priority-support") is (status == "active")


def test_a_provider_that_does_not_answer_sells_nothing_twice(
    product: ServiceClient, customer: Person, provider: StandIn
) -> None:
    provider.answers[f"GET {PATH}"] = [BROKEN]

    started = product.post("/api/subscriptions/checkout", {"plan_id": "growth"}, token=customer.token)

    assert (started.status_code, started.json()["code"]) == (409, "already_subscribed")
    assert not Checkout.objects.exists()
