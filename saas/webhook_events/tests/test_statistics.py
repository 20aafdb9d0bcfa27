"""Numbers, the sweep, and the worker that needs no broker."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db.models import F
from django.utils import timezone

from saas.operations.models import Heartbeat
from saas.testing.factories.event_factories import event, json_bytes, make_events_due
from saas.webhook_events import tasks
from saas.webhook_events.actions import replay_event, store_deliveries
from saas.webhook_events.dispatch import Permanent
from saas.webhook_events.event_storage import IncomingEvent
from saas.webhook_events.models import WebhookEvent, WebhookTally
from saas.webhook_events.monitoring import statistics
from saas.webhook_events.processing import claims, event_worker

pytestmark = pytest.mark.django_db


def stored(*numbers, **fields):
    store_deliveries(
        [IncomingEvent.parse(json_bytes(event(f"evt_{number}", **fields)), headers={}) for number in numbers]
    )


def test_the_figures_tell_what_waits_what_failed_and_how_long_it_took(handle):
    @handle("demo.created")
    def act(row, data):
        if row.external_id == "evt_1":
            raise Permanent("no")

    stored(1, 2, 3, 4)
    event_worker.drain()
    stored(5)
    WebhookEvent.objects.filter(external_id="evt_5").update(next_attempt_at=timezone.now() - timedelta(minutes=3))
    an_hour_ago = timezone.now() - timedelta(minutes=61)
    WebhookEvent.objects.filter(external_id="evt_2").update(received_at=an_hour_ago, replay_count=1)
    for number, seconds in ((3, 2), (4, 7)):
        received_at = F("processed_at") - timedelta(seconds=seconds)
        WebhookEvent.objects.filter(external_id=f"evt_{number}").update(received_at=received_at)

    numbers = statistics.inbox_statistics()

    assert {status: count for status, count in numbers.by_status.items() if count} == {
        "processed": 3,
        "failed": 1,
        "queued": 1,
    }
    assert numbers.counts_are_exact
    assert numbers.due == 1
    assert 180 <= numbers.oldest_due_seconds < 240
    assert (numbers.last_hour["received"], numbers.last_hour["processed"]) == (4, 2)
    assert numbers.failure_rate == 0.3333
    assert numbers.lag_seconds == {"p50": 2.0, "p95": 7.0, "p99": 7.0}  # without the replay's


@pytest.mark.parametrize(("count", "counted", "is_exact"), [(2, 2, True), (3, 3, False), (4, 3, False)])
def test_a_count_is_exact_up_to_its_limit(monkeypatch, count, counted, is_exact):
    monkeypatch.setattr(statistics, "COUNT_LIMIT", 2)
    stored(*range(count))

    numbers = statistics.inbox_statistics()

    assert (numbers.by_status["queued"], numbers.counts_are_exact) == (counted, is_exact)


def test_a_replay_has_no_lag(seen):
    stored(1, 2)
    event_worker.drain()
    replay_event("evt_1", by="usr_sam")
    WebhookEvent.objects.filter(external_id="evt_2").update(status="queued")

    assert [claim.age_seconds is None for claim in claims.claim_batch()] == [False, True]


@pytest.mark.parametrize("tries", [0, 1])
def test_what_is_worked_on_is_not_due(tries):
    stored(1, 2)
    make_events_due()
    for _ in range(tries):
        claims.release_claims(claims.claim_batch())
    claims.claim_batch(1)

    numbers = statistics.inbox_statistics()

    assert (numbers.due, numbers.by_status["queued"]) == (1, 2)


def test_latencies_are_counted_in_buckets_and_their_sum_is_rounded_once():
    assert statistics.latency_tallies("lag", [0.005, 0.0051, 0.0009, 5000.0]) == {
        "lag:0.005": 2,
        "lag:0.01": 1,
        "lag:+Inf": 1,
        "lag:ms": 5000011,
    }


def test_an_empty_inbox_has_figures_too():
    numbers = statistics.inbox_statistics()

    assert set(numbers.by_status.values()) == {0}
    assert (numbers.due, numbers.oldest_due_seconds, numbers.failure_rate) == (0, 0.0, None)
    assert numbers.lag_seconds == {"p50": None, "p95": None, "p99": None}


@pytest.mark.parametrize(("count", "p50", "p95"), [(1, 1, 1), (2, 1, 2), (100, 50, 95)])
def test_a_percentile_is_a_value_that_occurred(count, p50, p95):
    values = list(range(1, count + 1))

    assert (statistics.percentile(values, 50), statistics.percentile(values, 95)) == (p50, p95)


def test_what_workers_do_is_counted_for_all_processes(handle, settings, webhooks):
    settings.WEBHOOKS_MAX_RETRIES = 1

    @handle("demo.created")
    def act(row, data):
        if row.external_id == "evt_1":
            raise ValueError("no")

    stored(1, 2, 3)
    event_worker.drain()
    make_events_due()
    event_worker.drain()

    assert dict(WebhookTally.objects.exclude(name__contains=":").values_list("name", "value")) == {
        "processed": 2,
        "failed": 2,
        "events_retried": 1,
        "events_failed": 1,
    }
    text = webhooks.get("/metrics").content.decode()
    assert set(text.splitlines()) >= {
        "webhook_events_processed_total 2.0",
        "webhook_events_retried_total 1.0",
        "webhook_events_failed_total 1.0",
        "webhook_events_due 0.0",
        'webhook_attempts_total{outcome="failed"} 2.0',
        'webhook_handler_seconds_bucket{le="+Inf"} 4.0',
        "webhook_handler_seconds_count 4.0",
        "webhook_event_lag_seconds_count 2.0",
    }


def test_the_sweep_acts_on_what_no_bell_announced_and_shows_that_it_lives(seen):
    stored(1)

    tasks.sweep()

    assert seen == ["evt_1"]
    assert Heartbeat.objects.age("worker", timezone.now()) < timedelta(seconds=5)


def test_a_bell_for_an_event_that_is_not_there_does_nothing(seen):
    tasks.process_due_events(10**12)

    assert seen == []


def test_the_polling_worker_needs_no_broker(seen):
    stored(1, 2)

    call_command("webhook_worker", once=True)

    assert sorted(seen) == ["evt_1", "evt_2"]
    assert Heartbeat.objects.filter(name="worker").exists()
