"""Subscriptions that a schedule at Stripe manages: they can be changed and ended nevertheless."""

from collections.abc import Callable, Iterator

import pytest

from saas.billing.providers import ProviderRefused
from saas.billing.providers.stripe.gateway import StripeGateway
from saas.billing.tests.fake_stripe import FakeStripe
from saas.billing.tests.stripe_stand_in import stand_in
from saas.testing.factories import stripe_object_factories as whole
from saas.webhook_events.models import WebhookEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def fake() -> Iterator[FakeStripe]:
    answers = {
        "GET /v1/subscriptions/sub_1": whole.subscription(schedule="sub_sched_1"),
        "POST /v1/subscriptions/sub_1": whole.subscription(cancel_at_period_end=True),
        "POST /v1/subscription_schedules/sub_sched_1/release": whole.subscription_schedule(status="released"),
    }
    with stand_in(answers, FakeStripe) as here:
        here.schedules = {"sub_1": "sub_sched_1"}
        yield here


def change(it: StripeGateway) -> None:
    it.change_subscription(subscription_id="sub_1", item_id="si_1", price_id="price_1", quantity=1)


@pytest.mark.parametrize(
    "call",
    [lambda it: it.set_cancel_at_period_end("sub_1", value=True), lambda it: it.clear_cancel_at("sub_1"), change],
)
def test_its_schedule_is_released_and_it_is_updated(fake: FakeStripe, call: Callable[[StripeGateway], None]) -> None:
    call(StripeGateway("sk_test_schedule", fake.url))

    assert [f"{asked.method} {asked.path}" for asked in fake.asked] == [
        "POST /v1/subscriptions/sub_1",
        "GET /v1/subscriptions/sub_1",
        "POST /v1/subscription_schedules/sub_sched_1/release",
        "POST /v1/subscriptions/sub_1",
    ]
    assert WebhookEvent.objects.get().type == "customer.subscription.updated"


def test_a_refusal_without_a_schedule_carries_stripes_sentence(fake: FakeStripe) -> None:
    fake.answers["GET /v1/subscriptions/sub_1"] = whole.subscription()

    with pytest.raises(ProviderRefused, match="managed by the subscription schedule `sub_sched_1`"):
        StripeGateway("sk_test_schedule", fake.url).set_cancel_at_period_end("sub_1", value=True)


def test_a_refusal_for_another_reason_leaves_the_schedule(fake: FakeStripe) -> None:
    fake.schedules, fake.prices = {}, {"price_2"}

    with pytest.raises(ProviderRefused, match="No such price"):
        change(StripeGateway("sk_test_schedule", fake.url))
    assert [f"{asked.method} {asked.path}" for asked in fake.asked] == ["POST /v1/subscriptions/sub_1"]
