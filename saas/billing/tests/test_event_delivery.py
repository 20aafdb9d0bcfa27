"""Delivery of the local provider's events to the webhooks service."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from saas.billing.checkouts import start_checkout
from saas.billing.models import LocalObject, Subscription
from saas.billing.providers.local import event_delivery, lifecycle
from saas.billing.providers.local.tasks import deliver_local_events, turn_local_clock
from saas.billing.tests.stripe_stand_in import StandIn, stand_in
from saas.testing.clients import ServiceClient
from saas.testing.factories import event_factories
from saas.testing.factories.user_factories import Person
from saas.webhook_events import signatures
from saas.webhook_events.models import WebhookEvent

DOOR = "POST /api/webhooks/stripe"
TAKEN, AWAY = (202, {"status": "accepted"}), (503, {})


@pytest.fixture
def listener(settings: Any) -> Iterator[StandIn]:
    """Who listens in the place of the webhooks service."""
    with stand_in({DOOR: [TAKEN]}) as here:
        settings.SERVICE_BASE_URLS = {**settings.SERVICE_BASE_URLS, "webhooks": here.url}
        yield here


@pytest.fixture
def told(customer: Person) -> list[str]:
    """The ids of two events that wait."""
    start_checkout(customer.user, plan_id="growth")
    row = LocalObject.objects.of_kind("subscription").get()
    for status in ("past_due", "active"):
        lifecycle.objects.update_object(row, "customer.subscription.updated", lifecycle.period_end(row), status=status)
    return [event.pk for event in LocalObject.objects.undelivered()]


def test_what_waits_is_posted_signed_and_in_the_order_of_telling(listener: StandIn, told: list[str]) -> None:
    assert event_delivery.deliver_events() == 2

    assert [json.loads(asked.body)["id"] for asked in listener.asked] == told
    for asked in listener.asked:
        header, body = asked.headers["Stripe-Signature"], asked.body
        signatures.verify(header, body, secrets=[event_factories.SECRET], tolerance_seconds=300, now=time.time())
    assert not LocalObject.objects.undelivered().exists()


def test_what_the_service_does_not_take_waits(listener: StandIn, told: list[str]) -> None:
    listener.answers[DOOR] = [TAKEN, AWAY]

    assert event_delivery.deliver_events() == 1

    assert [event.pk for event in LocalObject.objects.undelivered()] == told[1:]
    listener.answers[DOOR] = [TAKEN]
    turn_local_clock()
    assert not LocalObject.objects.undelivered().exists()


def test_nothing_is_lost_while_nobody_listens(told: list[str], settings: Any) -> None:
    settings.SERVICE_BASE_URLS = {**settings.SERVICE_BASE_URLS, "webhooks": "http://127.0.0.1:1"}

    deliver_local_events("cus_any")

    assert [event.pk for event in LocalObject.objects.undelivered()] == told


def test_the_webhooks_service_accepts_an_event_once_and_then_as_a_repeat(
    listener: StandIn, told: list[str], webhooks: ServiceClient, settings: Any
) -> None:
    settings.WEBHOOKS_ALLOW_UNSIGNED = False
    event_delivery.deliver_events()
    posted = [(asked.body, {"Stripe-Signature": asked.headers["Stripe-Signature"]}) for asked in listener.asked]

    answers = [
        webhooks.post("/api/webhooks/stripe", raw=body, headers=headers) for body, headers in [*posted, posted[0]]
    ]

    assert [answer.json()["status"] for answer in answers] == ["accepted", "accepted", "duplicate"]
    assert list(WebhookEvent.objects.filter(external_id__in=told).values_list("source", flat=True)) == ["delivery"] * 2


def test_what_our_own_calls_change_is_there_with_the_answer(customer: Person, listener: StandIn) -> None:
    start_checkout(customer.user, plan_id="growth")

    assert Subscription.objects.get().status == "active"
    assert not LocalObject.objects.undelivered().exists()
    assert listener.asked == []
