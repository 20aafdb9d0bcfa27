"""Alerts, and what is deleted when."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from saas.mail.models import Mail
from saas.operations.models import Heartbeat, RetentionProgress
from saas.operations.retention import passes
from saas.testing.factories.event_factories import event, json_bytes
from saas.webhook_events import retention, tasks
from saas.webhook_events.actions import append_event, store_deliveries
from saas.webhook_events.dispatch import Permanent
from saas.webhook_events.event_storage import IncomingEvent
from saas.webhook_events.models import (
    ReplayBatch,
    WebhookAlert,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEvent,
    WebhookPayload,
)
from saas.webhook_events.monitoring import alerts
from saas.webhook_events.processing import event_worker

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def operator_address(settings):
    settings.WEBHOOKS_NOTIFY_EMAIL = "ops@example.net"


def alerts_sent():
    return [mail.context["what"] for mail in Mail.objects.order_by("id")]


def days_ago(days):
    return timezone.now() - timedelta(days=days)


def stored(*ids, **fields):
    store_deliveries([IncomingEvent.parse(json_bytes(event(event_id, **fields)), headers={}) for event_id in ids])


def test_a_quiet_inbox_raises_no_alert(seen):
    stored("evt_1")
    event_worker.drain()

    alerts.check_alerts()

    assert not WebhookAlert.objects.exists()
    assert alerts_sent() == []


def test_an_event_that_waits_too_long_is_told_once_and_so_is_the_recovery(seen):
    stored("evt_1")
    WebhookEvent.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=115))
    alerts.check_alerts()
    assert not WebhookAlert.objects.exists()
    WebhookEvent.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=121))

    alerts.check_alerts()
    alerts.check_alerts()
    assert WebhookAlert.objects.get().kind == "lag"
    event_worker.drain()
    alerts.check_alerts()
    alerts.check_alerts()

    assert len(alerts_sent()) == 2
    assert alerts_sent()[0].startswith("an event has been due for 12")
    assert alerts_sent()[1] == "recovered: lag"
    assert not WebhookAlert.objects.exists()


def test_a_burst_of_refused_deliveries_is_told():
    outcomes = ["bad_signature"] * 3 + ["stale", "malformed"]
    before = timezone.now() - timedelta(seconds=61)
    WebhookDelivery.objects.bulk_create(
        [WebhookDelivery(outcome=outcome) for outcome in [*outcomes, *["duplicate", "too_large"] * 3]]
        + [WebhookDelivery(outcome=outcome, at=before) for outcome in outcomes]
    )
    alerts.check_alerts()
    assert alerts_sent() == []

    WebhookDelivery.objects.create(outcome="malformed")
    alerts.check_alerts()

    assert alerts_sent() == ["6 deliveries were refused within a minute"]


@pytest.mark.parametrize(("hours", "is_raised"), [(23, False), (25, True), (24 * 8, False)])
def test_an_endpoint_that_used_to_speak_and_falls_silent_is_told(seen, hours, is_raised):
    stored("evt_1")
    event_worker.drain()
    WebhookEvent.objects.update(received_at=timezone.now() - timedelta(hours=hours))
    append_event(event("evt_fetched"), source=WebhookEvent.Source.FETCH)  # we asked: the provider has not spoken

    alerts.check_alerts()

    assert WebhookAlert.objects.filter(kind="silence").exists() == is_raised


@pytest.mark.parametrize(("seconds", "is_raised"), [(35, True), (25, False), (-25, False), (-35, True)])
def test_a_database_clock_that_is_off_raises_an_alert(seen, seconds, is_raised):
    with time_machine.travel(timezone.now() + timedelta(seconds=seconds)):
        alerts.check_alerts()

    assert WebhookAlert.objects.filter(kind="clock").exists() == is_raised


def test_the_databases_clock_decides_not_the_workers(seen):
    stored("evt_1")
    with time_machine.travel(timezone.now() + timedelta(minutes=10)):
        event_worker.drain()

    assert seen == ["evt_1"]
    assert WebhookEvent.objects.get().processed_at < timezone.now() + timedelta(minutes=1)


def test_a_missing_sweep_raises_its_alert_when_metrics_are_read(webhooks):
    Heartbeat.objects.create(name="worker", at=timezone.now() - timedelta(seconds=40))

    text = webhooks.get("/metrics").content.decode()

    assert 'webhook_alarms{kind="sweep"} 1.0' in text
    assert 'webhook_alarms{kind="lag"} 0.0' in text
    assert [what.rpartition(" for ")[0] for what in alerts_sent()] == ["no worker has swept"]
    tasks.sweep()
    tasks.sweep()
    assert alerts_sent()[1:] == ["recovered: sweep"]
    assert not WebhookAlert.objects.exists()


def test_a_sweep_that_comes_late_tells_of_its_absence_itself(seen):
    Heartbeat.objects.create(name="worker", at=timezone.now() - timedelta(seconds=40))

    tasks.sweep()

    assert [what.rpartition(" for ")[0] or what for what in alerts_sent()] == [
        "no worker has swept",
        "recovered: sweep",
    ]


def test_of_one_kind_of_alert_a_mail_goes_every_quarter_of_an_hour():
    with time_machine.travel("2026-01-01T12:00:00Z", tick=False) as clock:
        for seconds in (0, 899, 1):
            clock.shift(seconds)
            alerts.send_alert("lag", f"after {seconds} s more")

    assert alerts_sent() == ["after 0 s more", "after 1 s more"]


def test_without_an_address_an_alert_is_only_logged(settings, caplog):
    settings.WEBHOOKS_NOTIFY_EMAIL = ""

    alerts.send_alert("lag", "an event waits")

    assert alerts_sent() == []
    assert [(line.message, line.kind, line.what) for line in caplog.records] == [
        ("webhook_alert", "lag", "an event waits")
    ]


@pytest.mark.parametrize("table", ["webhookpayload", "webhookattempt", "webhookdelivery"])
def test_late_retention_is_told(db, table):
    progress = RetentionProgress.objects.create(
        table=f"webhook_events_{table}", complete_until=timezone.now() - timedelta(hours=47)
    )
    alerts.check_alerts()
    assert not WebhookAlert.objects.exists()
    RetentionProgress.objects.update(complete_until=timezone.now() - timedelta(days=3))

    assert timedelta(days=3) <= retention.retention_lag() < timedelta(days=4)
    alerts.check_alerts()
    assert WebhookAlert.objects.get().kind == "retention"
    passes.delete_expired()
    alerts.check_alerts()

    progress.refresh_from_db()
    assert retention.retention_lag() < timedelta(minutes=1)
    assert alerts_sent() == ["what is past its time has not been deleted for 3 days", "recovered: retention"]


def test_failures_are_an_alert_until_somebody_has_seen_to_them(handle):
    @handle("demo.*")
    def refuse(row, data):
        raise Permanent("no")

    stored("evt_1")
    event_worker.drain()
    alerts.check_alerts()

    assert WebhookAlert.objects.get().kind == "failed"
    assert alerts_sent() == ["an event has failed: demo.created"]  # once in a window
    WebhookEvent.objects.update(status="processed")
    alerts.check_alerts()
    assert alerts_sent()[1:] == ["recovered: failed"]


@pytest.mark.parametrize(
    "type",
    ["invoice.paid", "v1.invoice.paid", "charge.failed", "payment_intent.succeeded", "checkout.session.completed"],
)
def test_a_failed_payment_is_told_beside_other_failures(handle, type):
    @handle("*")
    def refuse(row, data):
        raise Permanent("no")

    stored("evt_1", "evt_2", type=type)
    event_worker.drain()
    alerts.check_alerts()
    assert [alert.kind for alert in WebhookAlert.objects.all()] == ["failed-payment"]
    stored("evt_3", "evt_4")
    event_worker.drain()

    assert sorted(alerts_sent()) == sorted(["an event has failed: demo.created", f"an event has failed: {type}"])


def test_what_nobody_needs_is_deleted_after_its_time_and_nothing_else(seen):
    stored("evt_acted_on", "evt_recent_ignored", "evt_old_ignored", "evt_waiting")
    WebhookEvent.objects.filter(external_id="evt_acted_on").update(status="processed")
    WebhookEvent.objects.filter(external_id__contains="ignored").update(status="ignored")
    WebhookEvent.objects.exclude(external_id="evt_recent_ignored").update(received_at=days_ago(91))
    row = WebhookEvent.objects.get(external_id="evt_acted_on")
    for number, days in enumerate((91, 89)):
        WebhookAttempt.objects.create(event=row, number=number, trigger="sweep", worker="w", started_at=days_ago(days))
    for days in (31, 29):
        WebhookDelivery.objects.create(event=row, outcome="duplicate", at=days_ago(days))
    for number, finished_at in enumerate((days_ago(401), days_ago(399), None)):
        state, created_at = "done" if finished_at else "running", days_ago(500)
        ReplayBatch.objects.create(
            matched=number, last_event_id=1, state=state, created_at=created_at, finished_at=finished_at
        )

    assert passes.delete_expired(only_due=False) == 4

    kept = WebhookPayload.objects.values_list("event__external_id", flat=True)
    assert sorted(kept) == ["evt_acted_on", "evt_recent_ignored", "evt_waiting"]
    assert WebhookEvent.objects.count() == 4
    assert list(WebhookAttempt.objects.values_list("number", flat=True)) == [1]
    assert WebhookDelivery.objects.get().at > days_ago(30)
    assert list(ReplayBatch.objects.order_by("matched").values_list("matched", flat=True)) == [1, 2]


@pytest.mark.parametrize(
    ("status", "days", "is_kept"),
    [
        ("ignored", 89, True),
        ("ignored", 91, False),
        ("quarantined", 4000, False),
        ("processed", 399, True),
        ("processed", 401, False),
        ("failed", 399, True),
        ("failed", 401, False),
        ("queued", 4000, True),
        ("retry_scheduled", 4000, True),
        ("replay_queued", 4000, True),
    ],
)
def test_a_payload_that_no_projection_needs_goes_however_old_it_has_become(seen, status, days, is_kept):
    stored("evt_1")
    WebhookEvent.objects.update(status=status, received_at=timezone.now() - timedelta(days=days))

    passes.delete_expired(only_due=False)

    assert WebhookPayload.objects.exists() == is_kept
    assert WebhookEvent.objects.exists()
