"""Events for the tests of projections: stories of our own, and the collection of recorded ones where there is one."""

import json
from pathlib import Path
from typing import Any

from saas.billing.sync.event_order import StoredEvent
from saas.testing.factories.event_factories import stripe_samples
from saas.testing.factories.subscription_stories import Checkpoint, checkpoints

FOLDER = stripe_samples() or Path("nowhere")
INDEX = FOLDER / "events" / "index.json"


def load(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / "events" / name).read_text(encoding="utf-8"))


def all_events() -> list[dict[str, Any]]:
    return [load(entry["file"]) for entry in _index()["events"]]


def recorded_checkpoints() -> list[Checkpoint]:
    return [
        Checkpoint(
            name=f"{story['name']}-{number}",
            customer=story["customer"],
            events=[load(name) for name in delivery["files"]],
            expect=delivery["expect"],
        )
        for story in _index()["sequences"]
        for number, delivery in enumerate(story["deliveries"], start=1)
    ]


def own_events() -> list[dict[str, Any]]:
    """Every event of every story of our own."""
    return [event for story in checkpoints() if story.is_last for event in story.events]


def all_checkpoints() -> list[Checkpoint]:
    return [*checkpoints(), *recorded_checkpoints()]


def _index() -> dict[str, Any]:
    return json.loads(INDEX.read_text(encoding="utf-8")) if INDEX.exists() else {"events": [], "sequences": []}


def told(event: dict[str, Any]) -> StoredEvent:
    data = event["data"]
    return StoredEvent(
        event["id"], event["type"], event["created"], data["object"], data.get("previous_attributes") or {}
    )
