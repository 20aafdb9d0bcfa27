"""Storing deliveries: one, many, again, and unreadable ones."""

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
import time_machine
from django.db import OperationalError, connection
from prometheus_client import REGISTRY

from saas.testing.factories.event_factories import event, json_bytes
from saas.webhook_events import actions
from saas.webhook_events.actions import Receipt, append_event, store_deliveries
from saas.webhook_events.event_storage import IncomingEvent, insert_parameters
from saas.webhook_events.models import WebhookDelivery, WebhookEvent, WebhookPayload

pytestmark = pytest.mark.django_db


def delivery(payload, **options):
    return IncomingEvent.parse(payload if isinstance(payload, bytes) else json_bytes(payload), headers={}, **options)


def test_a_delivery_is_stored_byte_for_byte():
    body = (
        b' {"id": "evt_1", "type": "demo.created", "data": {"object": {"id": "obj_1", "name": "\\u0000 \xc3\xa9"}}}\n'
    )

    headers = {"User-Agent": "x" * 501, "Content-Encoding": "gzip", "Content-Type": "", "Cookie": "secret"}
    receipts = store_deliveries([IncomingEvent.parse(body, headers=headers)])

    assert receipts == [Receipt("evt_1", True)]
    row = WebhookEvent.objects.select_related("payload").get()
    assert bytes(row.payload.body) == body
    assert row.payload.headers == {"User-Agent": "x" * 500, "Content-Encoding": "gzip"}
    assert (row.body_sha256, row.body_size) == (sha256(body).hexdigest(), len(body))
    assert (row.status, row.attempts, row.source, row.object_id) == ("queued", 0, "delivery", "obj_1")
    assert row.next_attempt_at <= row.received_at


def counted(name, **labels):
    return REGISTRY.get_sample_value(f"webhook_events_{name}_total", labels) or 0.0


def test_many_deliveries_are_told_apart():
    store_deliveries([delivery(event("evt_2"))])
    before = counted("received", source="delivery"), counted("duplicate")

    receipts = store_deliveries(
        [
            delivery(event("evt_1")),
            delivery(event("evt_2")),
            delivery(event("evt_1")),
            delivery(event("evt_3", type="demo.deleted")),
        ]
    )

    assert [receipt.is_new for receipt in receipts] == [True, False, False, True]
    assert [receipt.event_id for receipt in receipts] == ["evt_1", "evt_2", "evt_1", "evt_3"]
    assert WebhookEvent.objects.count() == WebhookPayload.objects.count() == 3
    assert WebhookDelivery.objects.filter(outcome="duplicate").count() == 2
    after = counted("received", source="delivery"), counted("duplicate")
    assert [now - then for now, then in zip(after, before, strict=True)] == [2, 2]


def test_the_same_id_with_other_bytes_is_flagged_and_the_first_bytes_stay(caplog):
    store_deliveries([delivery(event("evt_1"))])

    receipts = store_deliveries([delivery(event("evt_1", type="demo.other"), address="203.0.113.7")])

    row = WebhookEvent.objects.select_related("payload").get()
    assert receipts == [Receipt("evt_1", False)]
    assert (row.type, row.body_conflict) == ("demo.created", True)
    assert row.repeats.get().address == "203.0.113.7"
    assert [(line.message, line.events) for line in caplog.records] == [("webhook_body_conflict", [row.pk])]


def test_workers_are_told_once_of_what_is_new_when_it_is_committed(django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as of_new:
        store_deliveries([delivery(event("evt_1")), delivery(event("evt_2"))])
    with django_capture_on_commit_callbacks() as of_repeats:
        store_deliveries([delivery(event("evt_1"))])

    assert (len(of_new), len(of_repeats)) == (1, 0)


def test_concurrent_batches_store_their_events_in_one_order():
    """Otherwise two that hold the same ids would wait for each other."""
    _, rows = insert_parameters([delivery(event(name)) for name in ("evt_2", "evt_3", "evt_1")])

    assert [row["external_id"] for row in json.loads(rows)] == ["evt_1", "evt_2", "evt_3"]


def test_a_refusal_that_cannot_be_noted_stays_a_refusal(monkeypatch, caplog):
    monkeypatch.setattr(actions, "_refusals", actions.Sampler(per_second=1))

    def away(execute, sql, params, many, context):
        raise OperationalError("the database is away")

    with connection.execute_wrapper(away):
        actions.record_refused_delivery(b"x", reason="stale", address="203.0.113.7")

    assert [line.message for line in caplog.records] == ["refused_delivery_not_noted"]


def test_a_sample_of_each_second_passes():
    sampler = actions.Sampler(per_second=2)
    with time_machine.travel("2026-01-01T12:00:00Z", tick=False) as clock:
        first = [sampler.passes() for _ in range(3)]
        clock.shift(1)
        second = [sampler.passes() for _ in range(3)]

    assert first == second == [True, True, False]


def test_an_honest_repeat_is_no_conflict():
    store_deliveries([delivery(event("evt_1"))])
    store_deliveries([delivery(event("evt_1"))])

    assert WebhookEvent.objects.get().body_conflict is False


def test_bytes_that_are_no_event_are_quarantined_under_their_hash(settings):
    settings.WEBHOOKS_NOTIFY_EMAIL = "ops@example.net"
    body = b"\x00\xff no event"

    first, again = store_deliveries([delivery(body)]), store_deliveries([delivery(body)])

    name = "sha256:" + sha256(body).hexdigest()
    assert first == [Receipt(name, True)]
    assert again == [Receipt(name, False)]
    row = WebhookEvent.objects.select_related("payload").get()
    assert (row.status, row.external_id, row.type) == ("quarantined", name, "")
    assert bytes(row.payload.body) == body
    assert row.last_error.startswith("The body is not valid JSON.")


def test_one_delivery_costs_one_query_on_postgresql(django_assert_num_queries):
    with django_assert_num_queries(1 if connection.vendor == "postgresql" else 5):
        store_deliveries([delivery(event("evt_1")), delivery(event("evt_2"))])


def test_appending_is_idempotent_on_the_id():
    before = counted("received", source="local")
    first = append_event(event("evt_local_1"), source=WebhookEvent.Source.LOCAL)
    again = append_event(event("evt_local_1", type="demo.other"), source=WebhookEvent.Source.LOCAL)

    assert first == again
    assert (again.type, again.source, again.status) == ("demo.created", "local", "queued")
    assert again.provider_created == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert counted("received", source="local") - before == 1
    delay = again.next_attempt_at - again.received_at  # in which the caller can process it
    assert timedelta(seconds=4) < delay < timedelta(seconds=6)
    assert WebhookDelivery.objects.count() == 0


def test_an_object_brings_all_that_was_told_of_it_with_the_bytes(django_assert_num_queries):
    for number in (1, 2):
        append_event(event(f"evt_{number}"), source=WebhookEvent.Source.FETCH)
    append_event(event("evt_3", object={"id": "obj_2"}), source=WebhookEvent.Source.FETCH)

    with django_assert_num_queries(1):
        read = [(row.external_id, bytes(row.payload.body)) for row in WebhookEvent.objects.for_object("obj_1")]

    assert read == [(f"evt_{number}", json_bytes(event(f"evt_{number}"))) for number in (1, 2)]


@pytest.mark.parametrize("status", ["queued", "retry_scheduled", "processed", "failed", "ignored", "replay_queued"])
def test_a_repeat_is_logged_and_changes_nothing_in_any_status(status):
    (first,) = store_deliveries([delivery("evt_1")])
    WebhookEvent.objects.update(status=status, attempts=3)
    before = WebhookEvent.objects.values().get()

    (again,) = store_deliveries([delivery("evt_1")])

    assert (first.is_new, again.is_new, again.attempts) == (True, False, 3)
    assert WebhookEvent.objects.values().get() == before
    assert WebhookDelivery.objects.get().outcome == "duplicate"
