"""Recorded Stripe events of ten years and many API versions, through the front door."""

import json

import pytest
import stripe

from saas.testing.factories import event_factories
from saas.webhook_events.models import WebhookEvent


def samples():
    folder = event_factories.stripe_samples()
    return sorted(path for path in (folder / "events").glob("*.json") if path.name != "index.json") if folder else []


@pytest.mark.django_db
def test_every_recorded_event_is_stored_byte_for_byte_and_none_fails(webhooks, drain):
    if not samples():
        pytest.skip("no recorded Stripe data on this machine (SAAS_STRIPE_SAMPLES)")

    sent = {}
    for path in samples():
        body = path.read_bytes()
        header = stripe.WebhookSignature.generate_signature_header(body.decode(), event_factories.SECRET)
        answer = webhooks.post("/api/webhooks/stripe", raw=body, headers={"Stripe-Signature": header})
        assert answer.status_code == 202, path.name
        sent[answer.json()["event_id"]] = body
    drain()

    rows = {row.external_id: row for row in WebhookEvent.objects.select_related("payload")}
    assert len(sent) == len(samples()) == 222
    assert {event_id: bytes(row.payload.body) for event_id, row in rows.items()} == sent
    assert {
        row.external_id: row.last_error for row in rows.values() if row.status not in {"processed", "ignored"}
    } == {}
    for row in rows.values():
        told = json.loads(sent[row.external_id])
        assert row.type == told["type"]
        assert row.object_id == (told.get("data", {}).get("object") or told["related_object"]).get("id", "")
