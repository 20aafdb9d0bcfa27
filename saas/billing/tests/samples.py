"""The collection of real Stripe events, read where it lies; a fresh clone has none, and its tests skip."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from saas.billing.sync.event_order import StoredEvent
from saas.testing.factories.event_factories import stripe_samples

FOLDER = stripe_samples() or Path("nowhere")
INDEX = FOLDER / "events" / "index.json"

needs_samples = pytest.mark.skipif(not INDEX.exists(), reason="The collection of Stripe events is not on this machine.")


@dataclass(frozen=True)
class Delivery:
    """Events in the order of their arrival, and what must be the case afterwards."""

    name: str
    customer: str
    files: list[str]
    expect: dict[str, Any]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [load(name) for name in self.files]


def load(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / "events" / name).read_text(encoding="utf-8"))


def all_events() -> list[dict[str, Any]]:
    return [load(entry["file"]) for entry in _index()["events"]]


def deliveries() -> list[Delivery]:
    return [
        Delivery(f"{story['name']}-{number}", story["customer"], delivery["files"], delivery["expect"])
        for story in _index()["sequences"]
        for number, delivery in enumerate(story["deliveries"], start=1)
    ]


def _index() -> dict[str, Any]:
    return json.loads(INDEX.read_text(encoding="utf-8")) if INDEX.exists() else {"events": [], "sequences": []}


def told(event: dict[str, Any]) -> StoredEvent:
    data = event["data"]
    return StoredEvent(
        event["id"], event["type"], event["created"], data["object"], data.get("previous_attributes") or {}
    )
