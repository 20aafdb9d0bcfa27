"""The inbox in a terminal."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from saas.audit.models import AuditEvent
from saas.management.commands import webhook_events, webhook_replay
from saas.testing.factories.event_factories import event, json_bytes
from saas.webhook_events.actions import store_deliveries
from saas.webhook_events.event_storage import IncomingEvent
from saas.webhook_events.models import ReplayBatch, WebhookEvent
from saas.webhook_events.processing import event_worker

pytestmark = pytest.mark.django_db


@pytest.fixture
def three():
    store_deliveries([IncomingEvent.parse(json_bytes(event(f"evt_{number}")), headers={}) for number in (1, 2, 3)])


def said(name, *args, **options):
    out = StringIO()
    call_command(name, *args, stdout=out, **options)
    return out.getvalue()


def test_events_are_listed_oldest_first_with_the_newest_at_the_end(three):
    lines = said("webhook_events", limit=2).splitlines()

    assert [line.split()[3] for line in lines] == ["evt_2", "evt_3"]
    assert "demo.created" in lines[0]


def test_one_event_is_shown_with_its_attempts_and_bytes(three, seen, drain):
    drain()
    store_deliveries([IncomingEvent.parse(b"\xff no event", headers={})])

    assert "attempt 1: processed" in said("webhook_events", "evt_1")
    assert json_bytes(event("evt_1")).decode() in said("webhook_events", "evt_1")
    quarantined = WebhookEvent.objects.get(status="quarantined")
    assert "\\xff no event" in said("webhook_events", quarantined.external_id)
    with pytest.raises(CommandError):
        said("webhook_events", "evt_none")


def test_events_are_replayed_by_id_and_by_condition(three, seen, drain):
    drain()

    said("webhook_replay", "evt_1", "evt_2", reason="the books")
    said("webhook_replay", status="processed")

    assert WebhookEvent.objects.filter(status="replay_queued").count() == 2
    assert ReplayBatch.objects.get().matched == 1
    assert AuditEvent.objects.filter(action="webhook_event.replayed", actor="command-line").count() == 2


def test_a_dry_run_replays_nothing(three):
    assert said("webhook_replay", "evt_1", "evt_9", dry_run=True).startswith("1 events")
    assert said("webhook_replay", type="demo.*", dry_run=True).startswith("3 events")
    assert not WebhookEvent.objects.filter(replay_count__gt=0).exists()


@pytest.mark.parametrize("options", [{}, {"event_id": ["evt_1"], "status": "failed"}, {"event_id": ["evt_none"]}])
def test_a_replay_that_makes_no_sense_is_refused(three, options):
    with pytest.raises(CommandError):
        said("webhook_replay", *options.pop("event_id", []), **options)


def test_what_a_provider_wrote_does_not_steer_the_terminal(three):
    WebhookEvent.objects.filter(external_id="evt_3").update(last_error="\x1b[2J[bold]gone", status="failed")

    plain, coloured = said("webhook_events", limit=1), said("webhook_events", limit=1, force_color=True)

    assert plain.rstrip().endswith("\\x1b[2J[bold]gone")
    assert "\x1b[1;31mfailed" in coloured
    assert "\x1b[2J" not in coloured


def test_following_shows_what_comes_and_what_becomes_of_it(three, seen, monkeypatch):
    looks = []

    def instead_of_waiting(seconds):
        looks.append(seconds)
        if len(looks) == 1:
            store_deliveries([IncomingEvent.parse(json_bytes(event("evt_4")), headers={})])
        elif len(looks) == 2:
            event_worker.drain(5)
        elif len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(webhook_events.time, "sleep", instead_of_waiting)

    lines = [line.split()[2:4] for line in said("webhook_events", limit=1, follow=True).splitlines()]

    assert lines == [["queued", "evt_3"], ["queued", "evt_4"], ["processed", "evt_3"], ["processed", "evt_4"]]


def test_a_bulk_replay_is_watched_to_its_end_and_another_canceled(three, seen, drain, monkeypatch):
    drain()
    monkeypatch.setattr(webhook_replay.time, "sleep", lambda seconds: event_worker.drain(5))

    text = said("webhook_replay", "--type=demo.*", "--since=2020-01-01T00:00:00Z", "--wait")

    assert text.splitlines()[-1].endswith("is done: 3 replayed, 0 skipped.")
    said("webhook_replay", status="processed")
    batch = ReplayBatch.objects.get(state="running")
    assert said("webhook_replay", cancel=batch.pk).startswith(f"{batch.pk} is canceled; 0 of 3")


def test_the_types_that_can_be_triggered_are_listed():
    assert {"invoice.paid", "customer.subscription.updated", "product.created"} <= set(said("stripe_trigger").split())


def test_a_triggered_event_arrives_signed(live_server, settings):
    settings.ROOT_URLCONF = "webhooks.urls"
    settings.WEBHOOKS_ALLOW_UNSIGNED = False

    answer = said("stripe_trigger", "customer.subscription.updated", url=live_server.url, id="evt_7")

    assert answer.strip() == '{"status":"accepted","event_id":"evt_7"}'
    row = WebhookEvent.objects.get()
    assert (row.external_id, row.type, row.object_type) == ("evt_7", "customer.subscription.updated", "subscription")


@pytest.mark.parametrize("options", [{"object": "nonsense"}, {"object": "[]"}, {"url": "http://127.0.0.1:1"}])
def test_a_trigger_that_cannot_work_says_so(options):
    with pytest.raises(CommandError):
        said("stripe_trigger", "invoice.paid", **options)


def test_an_event_triggered_on_this_machine_goes_through_no_proxy(live_server, settings, monkeypatch):
    settings.ROOT_URLCONF = "webhooks.urls"
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    answer = said("stripe_trigger", "charge.succeeded", url=live_server.url, id="evt_direct")

    assert answer.strip() == '{"status":"accepted","event_id":"evt_direct"}'
