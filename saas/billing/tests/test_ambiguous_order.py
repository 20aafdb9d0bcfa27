"""Where the order of events is ambiguous, the subscription is fetched from Stripe before the effect, as one more event."""

import pytest

from saas.billing import providers
from saas.billing.models import Subscription
from saas.billing.providers import ProviderUnavailable
from saas.billing.providers.stripe import example_events
from saas.testing.factories.event_factories import json_bytes
from saas.webhook_events.actions import append_event, store_deliveries
from saas.webhook_events.event_storage import IncomingEvent
from saas.webhook_events.models import WebhookEvent
from saas.webhook_events.processing import event_worker

pytestmark = pytest.mark.django_db

AT = 1_800_000_000


class Stripe:
    """Stands at the other end of the network: what we would ask of it, and what it tells."""

    provider = "stripe"

    def __init__(self, status):
        self.status, self.asked = status, []

    def fetch_subscription(self, subscription_id):
        self.asked.append(subscription_id)
        if self.status is None:
            raise ProviderUnavailable
        event = example_events.example_event(
            "customer.subscription.updated", at=AT + 9, fields={"id": subscription_id, "status": self.status}
        )
        append_event(event, source=WebhookEvent.Source.FETCH)


@pytest.fixture
def stripe(monkeypatch, request):
    gateway = Stripe(getattr(request, "param", "past_due"))
    monkeypatch.setattr(providers, "current_gateway", lambda: gateway)
    return gateway


def tell_in_one_second(*statuses):
    """Updates of one second that tell nothing of what was before: their order cannot be known."""
    for status in statuses:
        event = example_events.example_event(
            "customer.subscription.updated", at=AT, fields={"id": "sub_1", "status": status}
        )
        event["data"].pop("previous_attributes")
        store_deliveries([IncomingEvent.parse(json_bytes(event), headers={})])
    event_worker.drain(5)


def test_a_guess_is_settled_by_asking_once(stripe):
    tell_in_one_second("active", "unpaid")

    row = Subscription.objects.get()
    assert (row.status, row.ambiguous) == ("past_due", False)
    assert stripe.asked == ["sub_1"]
    assert WebhookEvent.objects.get(source="fetch").status in {"queued", "processed"}


@pytest.mark.parametrize("stripe", [None], indirect=True)
def test_without_an_answer_the_row_stays_flagged_and_events_processed(stripe):
    tell_in_one_second("active", "unpaid")

    assert Subscription.objects.get().ambiguous
    assert set(WebhookEvent.objects.values_list("status", flat=True)) == {"processed"}


def test_nobody_is_asked_where_the_order_is_plain(stripe):
    tell_in_one_second("active")

    assert stripe.asked == []
    assert not Subscription.objects.get().ambiguous


def test_only_events_of_ambiguous_order_are_processed_one_by_one(stripe, monkeypatch):
    alone = []
    act = event_worker.run_attempt
    monkeypatch.setattr(event_worker, "run_attempt", lambda claim: alone.append(claim.event_id) or act(claim))
    monkeypatch.setattr(event_worker._slow_start, "size", 100)
    monkeypatch.setattr(f"{event_worker.__package__}.batches.TRANSACTION_SECONDS", 60)  # else a slow machine splits it
    tell("sub_plain", AT, "active")
    tell("sub_plain", AT + 1, "past_due")
    tell("sub_first", AT, "active", verb="created")
    tell("sub_first", AT, "active")
    tell("sub_chained", AT, "active")
    tell("sub_chained", AT + 1, "unpaid", before="active")
    tell("sub_chained", AT + 1, "past_due", before="unpaid")
    guesses = [tell("sub_guess", AT, "active"), tell("sub_guess", AT, "unpaid"), tell("sub_guess", AT + 2, "active")]

    event_worker.drain(5)

    fetched = WebhookEvent.objects.filter(source="fetch").values_list("pk", flat=True)
    assert set(alone) - set(fetched) == set(guesses)
    assert stripe.asked == ["sub_guess"]
    assert dict(Subscription.objects.values_list("external_id", "ambiguous")) == {
        "sub_plain": False,
        "sub_first": False,
        "sub_chained": False,
        "sub_guess": False,
    }


def tell(subscription_id, at, status, *, verb="updated", before=None):
    fields = {"id": subscription_id, "status": status}
    event = example_events.example_event(f"customer.subscription.{verb}", at=at, fields=fields)
    event["data"]["previous_attributes"] = {"status": before} if before else {}
    store_deliveries([IncomingEvent.parse(json_bytes(event), headers={})])
    return WebhookEvent.objects.latest("id").pk
