"""How long the payloads of events are kept that rows are projected from."""

from datetime import timedelta

import pytest
from django.utils import timezone

from saas.billing.models import Subscription
from saas.billing.providers.stripe import example_events
from saas.billing.sync.rebuild import rebuild_rows
from saas.testing.factories.event_factories import json_bytes
from saas.webhook_events import retention
from saas.webhook_events.actions import store_deliveries
from saas.webhook_events.event_storage import IncomingEvent
from saas.webhook_events.models import WebhookEvent, WebhookPayload
from saas.webhook_events.processing import event_worker

pytestmark = pytest.mark.django_db


def test_an_ended_objects_payloads_are_deleted_together_its_row_stays():
    ids = {}
    for name, days in (("sub_old", 401), ("sub_young", 399)):
        event = example_events.example_event("customer.subscription.deleted", at=1_700_000_000, fields={"id": name})
        store_deliveries([IncomingEvent.parse(json_bytes(event), headers={})])
        event_worker.drain()
        Subscription.objects.filter(external_id=name).update(ended_at=timezone.now() - timedelta(days=days))
        ids[name] = event["id"]

    assert retention.delete_expired() == 1

    assert list(WebhookPayload.objects.values_list("event__external_id", flat=True)) == [ids["sub_young"]]
    assert WebhookEvent.objects.count() == 2
    assert "sub_old" not in " ".join(rebuild_rows(repair=False))
