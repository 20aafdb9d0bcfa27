"""The queries of an upsert."""

import pytest

from saas.billing.models import Subscription
from saas.billing.providers.stripe import example_events
from saas.billing.sync import upsert
from saas.webhook_events.actions import append_event
from saas.webhook_events.models import WebhookEvent

pytestmark = pytest.mark.django_db


def tell(*, at: int, status: str) -> None:
    fields = {"id": "sub_1", "customer": "cus_1", "status": status}
    event = example_events.example_event("customer.subscription.updated", at=at, fields=fields)
    append_event(event, source=WebhookEvent.Source.DELIVERY)


def test_an_upsert_costs_the_same_queries_however_long_the_history(django_assert_max_num_queries) -> None:
    tell(at=1_700_000_000, status="active")
    upsert.upsert_subscription("sub_1")
    for number in range(1, 12):
        tell(at=1_700_000_000 + number, status="past_due")

    with django_assert_max_num_queries(8):
        upsert.upsert_subscription("sub_1")

    assert Subscription.objects.get().status == "past_due"


def test_what_has_not_changed_is_not_written(django_assert_num_queries) -> None:
    tell(at=1_700_000_000, status="active")
    upsert.upsert_subscription("sub_1")

    with django_assert_num_queries(6) as asked:
        upsert.upsert_subscription("sub_1")

    assert all(query["sql"].lstrip().startswith("SELECT") for query in asked.captured_queries)
