"""Whole Stripe events through the front door: stories of our own and, where they are, recorded ones of ten years."""

import json
from pathlib import Path

import pytest
import stripe

from saas.testing.factories import event_factories
from saas.testing.factories.subscription_stories import checkpoints
from saas.webhook_events.models import WebhookEvent


def recorded() -> list[bytes]:
    folder = event_factories.stripe_samples() or Path("nowhere")
    return [path.read_bytes() for path in sorted((folder / "events").glob("*.json")) if path.name != "index.json"]


def own() -> list[bytes]:
    return [event_factories.json_bytes(event) for story in checkpoints() if story.is_last for event in story.events]


COLLECTIONS = {"own": own()} | ({"recorded": recorded()} if recorded() else {})


@pytest.mark.django_db
@pytest.mark.parametrize("bodies", COLLECTIONS.values(), ids=COLLECTIONS.keys())
def test_every_event_is_stored_byte_for_byte_and_none_fails(bodies, webhooks, drain):
    sent = {}
    for body in bodies:
        header = stripe.WebhookSignature.generate_signature_header(body.decode(), event_factories.SECRET)
        answer = webhooks.post("/api/webhooks/stripe", raw=body, headers={"Stripe-Signature": header})
        assert answer.status_code == 202, body
        sent[answer.json()["event_id"]] = body
    drain()

    rows = {row.external_id: row for row in WebhookEvent.objects.select_related("payload")}
    assert len(sent) == len(bodies)
    assert {event_id: bytes(row.payload.body) for event_id, row in rows.items()} == sent
    assert {
        row.external_id: row.last_error for row in rows.values() if row.status not in {"processed", "ignored"}
    } == {}
    for row in rows.values():
        event = json.loads(sent[row.external_id])
        assert row.type == event["type"]
        assert row.object_id == (event.get("data", {}).get("object") or event["related_object"]).get("id", "")


def test_the_stories_are_many_events_and_the_recorded_ones_all_there():
    assert len(COLLECTIONS["own"]) > 100
    assert len(COLLECTIONS.get("recorded", [b""] * 222)) == 222
