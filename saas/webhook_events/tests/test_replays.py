"""Bulk replays: which events, how fast, and the end of them."""

import socket
from datetime import timedelta

import pytest
from django.utils import timezone

from saas.audit.models import AuditEvent
from saas.testing.factories.event_factories import event, json_bytes
from saas.webhook_events import actions, metrics, replays
from saas.webhook_events.actions import (
    ReplayEnded,
    ReplayRunning,
    cancel_bulk_replay,
    start_bulk_replay,
    store_deliveries,
)
from saas.webhook_events.dispatch import Permanent
from saas.webhook_events.event_storage import IncomingEvent
from saas.webhook_events.models import ReplayBatch, WebhookAttempt, WebhookEvent, WebhookPayload
from saas.webhook_events.processing import claims, event_worker

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    monkeypatch.setattr(replays, "STEP", 10)


def stored(numbers, type="demo.created"):
    store_deliveries([IncomingEvent.parse(json_bytes(event(f"evt_{number}", type)), headers={}) for number in numbers])


def test_a_bulk_replay_replays_matching_events_once_and_no_later_ones(seen):
    stored(range(25))
    stored(range(25, 30), type="demo.other")
    event_worker.drain()
    seen.clear()

    batch = start_bulk_replay({"type": "demo.created"}, by="usr_sam", reason="the books")
    stored(range(300, 310))
    event_worker.drain()

    batch.refresh_from_db()
    assert (batch.state, batch.matched, batch.replayed, batch.skipped) == ("done", 25, 25, [])
    assert (batch.reason, batch.finished_at is not None) == ("the books", True)
    assert sorted(seen) == sorted(f"evt_{n}" for n in [*range(25), *range(300, 310)])
    trail = AuditEvent.objects.filter(target=batch.pk).order_by("id").values_list("action", "actor", "reason")
    assert list(trail) == [
        ("replay_batch.started", "usr_sam", "the books"),
        ("replay_batch.finished", "system", ""),
    ]


def test_live_traffic_goes_before_a_batch(seen):
    stored(range(3))
    event_worker.drain()
    seen.clear()
    start_bulk_replay({"type": "demo.*"}, by="usr_sam")
    stored([9])

    event_worker.drain()

    assert seen == ["evt_9", "evt_0", "evt_1", "evt_2"]


def test_events_in_flight_or_without_payload_are_skipped_and_listed(seen):
    stored(range(4))
    in_flight = WebhookEvent.objects.get(external_id="evt_1")
    claims.claim_event(in_flight.pk)
    WebhookPayload.objects.filter(event__external_id="evt_2").delete()

    found = replays.preview_replay({"type": "demo.created"})
    batch = start_bulk_replay({"type": "demo.created"}, by="usr_sam")
    replays.advance_bulk_replay()

    assert (found.matching, found.in_flight) == (4, 1)
    assert [row.external_id for row in found.samples] == ["evt_3", "evt_2", "evt_1", "evt_0"]
    batch.refresh_from_db()
    assert (batch.replayed, batch.skipped) == (2, ["evt_1", "evt_2"])
    replays.advance_bulk_replay()
    assert AuditEvent.objects.get(action="replay_batch.finished").data == {"replayed": 2, "skipped": 2}


def test_the_first_that_were_skipped_are_listed_over_all_steps(monkeypatch):
    monkeypatch.setattr(replays, "LISTED_SKIPPED", 12)
    stored(range(10, 25))
    WebhookPayload.objects.all().delete()
    batch = start_bulk_replay({"type": "demo.created"}, by="usr_sam")

    while replays.advance_bulk_replay():
        pass

    batch.refresh_from_db()
    assert (batch.replayed, batch.skipped) == (0, [f"evt_{number}" for number in range(10, 22)])


def test_workers_are_told_of_a_replay_when_it_is_committed(django_capture_on_commit_callbacks):
    stored([1])

    with django_capture_on_commit_callbacks() as of_one:
        actions.replay_event("evt_1", by="usr_sam")
    with django_capture_on_commit_callbacks() as of_many:
        start_bulk_replay({"type": "demo.created"}, by="usr_sam")

    assert (len(of_one), len(of_many)) == (1, 1)


def test_one_batch_runs_at_a_time():
    stored([1])
    start_bulk_replay({"status": "queued"}, by="usr_sam")

    with pytest.raises(ReplayRunning):
        start_bulk_replay({"status": "queued"}, by="usr_other")

    assert ReplayBatch.objects.get().created_by == "usr_sam"


def test_a_canceled_batch_goes_no_further(seen):
    stored(range(15))
    event_worker.drain()
    batch = start_bulk_replay({"status": "processed"}, by="usr_sam")
    replays.advance_bulk_replay()
    shown = {metric.name: metric.samples[0].value for metric in metrics.read_replays()}

    cancel_bulk_replay(batch.pk, by="usr_other")
    event_worker.drain()

    batch.refresh_from_db()
    assert (batch.state, batch.replayed, batch.finished_at is not None) == ("canceled", 10, True)
    assert len(seen) == 15 + 10
    assert (shown["webhook_replay_running"], shown["webhook_replay_events"]) == (1, 10)
    assert [metric.samples[0].value for metric in metrics.read_replays()] == [0, 0, 0]
    assert AuditEvent.objects.get(action="replay_batch.canceled", target=batch.pk).actor == "usr_other"
    following = start_bulk_replay({"status": "processed"}, by="usr_sam")
    with pytest.raises(ReplayEnded):
        cancel_bulk_replay(batch.pk, by="usr_other")
    following.refresh_from_db()
    assert following.state == "running"


def test_times_in_a_filter_survive_being_kept(seen):
    stored([1])
    event_worker.drain()
    row = WebhookEvent.objects.get()

    start_bulk_replay({"since": row.received_at - timedelta(seconds=1)}, by="usr_sam")
    event_worker.drain()

    assert seen == ["evt_1", "evt_1"]


def test_a_failed_event_is_replayed_without_the_network_and_audited(handle, monkeypatch):
    is_broken = True

    @handle("demo.*")
    def act(row, data):
        if is_broken:
            raise Permanent("a bug of ours")

    store_deliveries([IncomingEvent.parse(json_bytes(event()), headers={})])
    event_worker.drain()
    assert WebhookEvent.objects.get().status == "failed"
    is_broken = False

    def refuse(*args):
        raise OSError("nothing goes out")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    actions.replay_event("evt_1", by="usr_sam", reason="the bug is fixed")
    event_worker.drain()

    assert WebhookEvent.objects.get().status == "processed"
    entry = AuditEvent.objects.get(action="webhook_event.replayed")
    assert (entry.actor, entry.reason) == ("usr_sam", "the bug is fixed")


def test_the_longest_id_is_in_the_trail_whole_and_in_part():
    longest = "evt_" + "x" * 251
    store_deliveries([IncomingEvent.parse(json_bytes(event(longest)), headers={})])

    actions.replay_event(longest, by="usr_sam")

    entry = AuditEvent.objects.get(action="webhook_event.replayed")
    assert (entry.target, entry.data) == (longest[:64], {"event": longest})


def test_a_replay_forgets_earlier_failures_and_crashes(seen):
    """Otherwise the next crash would make it a dead letter at once."""
    stored([1])
    WebhookEvent.objects.update(status="failed", failures=7, crash_count=3)

    actions.replay_event("evt_1", by="usr_sam")
    crashed = claims.claim_event(WebhookEvent.objects.get().pk)
    assert crashed
    WebhookAttempt.objects.update(started_at=timezone.now() - timedelta(minutes=1))
    claims.mark_lost_attempts()

    event = WebhookEvent.objects.get()
    assert (event.failures, event.crash_count) == (0, 1)
    event_worker.drain(seconds=1)
    assert seen == ["evt_1"]
