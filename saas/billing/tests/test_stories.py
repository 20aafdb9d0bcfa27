"""Stories of subscriptions, projected: whatever order the events come in, the end is the same."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saas.billing.models import Subscription
from saas.billing.sync.event_order import StoredEvent
from saas.billing.sync.projections import subscriptions
from saas.billing.sync.projections.customers import project_customer
from saas.billing.sync.projections.invoices import project_invoice
from saas.billing.tests.samples import all_checkpoints, recorded_checkpoints, told
from saas.testing.factories.subscription_stories import DAY, START, VERSIONS, Checkpoint, checkpoints

STORIES = all_checkpoints()
IDS = [story.name for story in STORIES]


def of_kind(events: list[StoredEvent], kind: str) -> dict[str, list[StoredEvent]]:
    """The events of each object of a kind, each event once."""
    objects: dict[str, dict[str, StoredEvent]] = {}
    for event in events:
        if event.object.get("object") == kind and event.object.get("id"):
            objects.setdefault(event.object["id"], {})[event.id] = event
    return {name: list(found.values()) for name, found in objects.items()}


def end_state(events: list[dict[str, Any]]) -> dict[str, Any]:
    """What the projections make of the events, in the words of ``Checkpoint.expect``."""
    seen = [told(event) for event in events]
    state: dict[str, Any] = {"events_stored": len({event.id for event in seen})}
    for subscription_events in of_kind(seen, "subscription").values():
        folded = subscriptions.project_subscription(subscription_events)
        row = Subscription(status=folded.state.status, past_due_since=folded.past_due_since)
        at = folded.changed_at
        later = at + timedelta(days=8)
        access = "grace" if row.grants_access(at) and not row.grants_access(later) else row.grants_access(at)
        end = folded.state.current_period_end
        state |= {
            "subscription_status": folded.state.status,
            "access": access,
            "cancel_at_period_end": folded.state.cancel_at_period_end,
            "price": folded.state.price_ids[0],
            "current_period_end": int(end.timestamp()) if end else None,
            "ambiguous": folded.ambiguous,
        }
    state["invoice"] = {name: project_invoice(found).status for name, found in of_kind(seen, "invoice").items()}
    for found in of_kind(seen, "customer").values():
        state["default_payment_method"] = project_customer(found).default_payment_method
    return state


def assert_expected(state: dict[str, Any], expect: dict[str, Any]) -> None:
    wanted = {name: value for name, value in expect.items() if name not in {"invoice", "note", "charge"}}
    assert {name: state.get(name) for name in wanted} == wanted
    assert {name: state["invoice"].get(name) for name in expect.get("invoice", {})} == expect.get("invoice", {})


@pytest.mark.parametrize("story", STORIES, ids=IDS)
def test_a_story_ends_as_it_says(story: Checkpoint) -> None:
    state = end_state(story.events)

    assert_expected(state, story.expect)
    assert not state.get("ambiguous")


@pytest.mark.parametrize("story", STORIES, ids=IDS)
def test_a_story_told_backwards_ends_the_same(story: Checkpoint) -> None:
    assert end_state(story.events[::-1]) == end_state(story.events)


@pytest.mark.parametrize("story", STORIES, ids=IDS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_story_in_any_order_and_with_repeats_ends_the_same(story: Checkpoint, data: st.DataObject) -> None:
    events = story.events
    repeats = data.draw(st.lists(st.sampled_from(events), max_size=5))
    shuffled = data.draw(st.permutations(events + repeats))

    assert end_state(shuffled) == end_state(events)


def ledger(name: str) -> tuple[list[tuple[str, int]], datetime | None]:
    """The movements of a story's subscription, and when it ended."""
    story = next(story for story in STORIES if story.name == name)
    events = [told(event) for event in story.events if event["type"].startswith("customer.subscription.")]
    folded = subscriptions.project_subscription(events)
    return [(move.kind, move.delta_cents) for move in folded.changes], folded.state.ended_at


UPGRADED = [("trial_started", 0), ("new", 1500), ("upgrade", 8400), ("canceled", -9900)]


@pytest.mark.parametrize("year", [version[:4] for version in VERSIONS])
def test_the_ledger_of_the_upgrade_story(year: str) -> None:
    ended_at = datetime.fromtimestamp(START + 44 * DAY, UTC)

    assert ledger(f"trial_is_upgraded_and_canceled_{year}-4") == (UPGRADED, ended_at)


if recorded_checkpoints():

    def test_the_ledger_of_the_recorded_upgrade_story() -> None:
        assert ledger("trial-upgrade-cancel-4") == (UPGRADED, datetime.fromtimestamp(1760801600, UTC))

    def test_the_collection_has_22_deliveries() -> None:
        assert len(recorded_checkpoints()) == 22


def test_stories_are_told_in_both_api_versions() -> None:
    versions = {event["api_version"] for story in checkpoints() for event in story.events}

    assert versions == set(VERSIONS)
    assert {story.name.rpartition("_")[0] for story in checkpoints() if "2024" in story.name} == {
        story.name.rpartition("_")[0] for story in checkpoints() if "2026" in story.name
    }
