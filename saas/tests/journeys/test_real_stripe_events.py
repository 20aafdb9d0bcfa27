"""Whole Stripe events through the intake: stories of our own and, where they are, recorded ones of ten years."""

import json
from pathlib import Path
from typing import Any

import pytest
import stripe

from saas.testing.factories import event_factories
from saas.testing.factories.subscription_stories import checkpoints
from saas.webhook_events.models import WebhookEvent


def recorded_bodies() -> list[bytes]:
    folder = event_factories.stripe_samples() or Path("nowhere")
    return [path.read_bytes() for path in sorted((folder / "events").glob("*.json")) if path.name != "index.json"]


def own_bodies() -> list[bytes]:
    return [event_factories.json_bytes(event) for story in checkpoints() if story.is_last for event in story.events]


def type_and_object_id(event: dict[str, Any]) -> tuple[str, str]:
    return event["type"], (event.get("data", {}).get("object") or event["related_object"]).get("id", "")


COLLECTIONS = {"own": own_bodies()} | ({"recorded": recorded_bodies()} if recorded_bodies() else {})


@pytest.mark.django_db
@pytest.mark.parametrize("bodies", COLLECTIONS.values(), ids=COLLECTIONS.keys())
def test_every_event_is_stored_byte_for_byte_and_none_fails(bodies, webhooks, drain):
    sent, statuses = {}, set()
    for body in bodies:
        header = stripe.WebhookSignature.generate_signature_header(body.decode(), event_factories.SECRET)
        answer = webhooks.post("/api/webhooks/stripe", raw=body, headers={"Stripe-Signature": header})
        statuses.add(answer.status_code)
        sent[answer.json()["event_id"]] = body
    drain()

    assert statuses == {202}
    received = WebhookEvent.objects.exclude(source=WebhookEvent.Source.FETCH)  # what a charge shows of its refunds
    rows = {row.external_id: row for row in received.select_related("payload")}
    assert len(sent) == len(bodies)
    assert {event_id: bytes(row.payload.body) for event_id, row in rows.items()} == sent
    assert {
        row.external_id: row.last_error for row in WebhookEvent.objects.exclude(status__in=["processed", "ignored"])
    } == {}
    assert {event_id: (row.type, row.object_id) for event_id, row in rows.items()} == {
        event_id: type_and_object_id(json.loads(body)) for event_id, body in sent.items()
    }


def test_both_collections_are_complete():
    assert len(COLLECTIONS["own"]) > 100
    assert len(COLLECTIONS.get("recorded", [b""] * 222)) == 222
