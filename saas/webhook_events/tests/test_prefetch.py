"""What runs before the effect's transaction, and for how long it is waited for."""

import threading

import pytest
from django.db import connection

from saas import request_context
from saas.testing.factories.event_factories import event, json_bytes
from saas.webhook_events import dispatch
from saas.webhook_events.actions import append_event, store_deliveries
from saas.webhook_events.event_storage import IncomingEvent
from saas.webhook_events.models import WebhookEvent
from saas.webhook_events.processing import event_worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def prepare(monkeypatch):
    monkeypatch.setattr(dispatch, "_prefetches", dispatch.Registry())
    return dispatch.before_transaction


def stored(event_id="evt_1", **fields):
    store_deliveries([IncomingEvent.parse(json_bytes(event(event_id, **fields)), headers={})])


def test_a_prefetch_runs_before_the_handlers_outside_any_transaction(seen, prepare):
    @prepare("demo.*")
    def ask(row, data):
        assert not connection.in_atomic_block
        if row.external_id == "evt_1":
            append_event(event("evt_fetched"), source=WebhookEvent.Source.FETCH)

    stored()
    event_worker.drain()

    assert seen == ["evt_1"]
    assert WebhookEvent.objects.get(external_id="evt_fetched").source == "fetch"


@pytest.mark.parametrize("fields", [{"livemode": True}, {"account": "acct_other"}])
def test_of_another_mode_or_account_nothing_is_asked(seen, prepare, fields):
    asked = []
    prepare("demo.*")(lambda row, data: asked.append(row.external_id))
    stored(**fields)

    event_worker.drain()

    assert (asked, seen, WebhookEvent.objects.get().status) == ([], [], "ignored")


def test_a_thin_event_is_asked_about_under_the_type_of_its_object(seen, prepare):
    asked = []
    prepare("demo.*")(lambda row, data: asked.append((row.external_id, request_context.current().request_id)))
    stored(type="v1.demo.created")

    with request_context.use_context(request_context.Context("req_1")):
        event_worker.drain()

    assert (asked, seen) == ([("evt_1", "req_1")], ["evt_1"])


def test_a_prefetch_that_fails_is_a_failed_attempt_without_effect(seen, prepare):
    @prepare("demo.*")
    def ask(row, data):
        raise ConnectionError("the provider is away")

    stored()
    event_worker.drain()

    row = WebhookEvent.objects.get()
    assert (row.status, row.failures, row.last_error) == (
        "retry_scheduled",
        1,
        "ConnectionError: the provider is away",
    )
    assert seen == []


def test_a_provider_that_does_not_answer_in_time_is_waited_for_no_longer(prepare, handle, seen, monkeypatch):
    monkeypatch.setattr(dispatch, "PREFETCH_SECONDS", 0.2)
    answered = threading.Event()

    @prepare("slow.*")
    def ask(row, data):
        answered.wait(10)

    stored("evt_1", type="slow.created", object={"id": "obj_1", "object": "slow"})
    stored("evt_2")
    event_worker.drain(1)
    answered.set()

    row = WebhookEvent.objects.get(external_id="evt_1")
    assert (row.status, row.failures) == ("retry_scheduled", 1)
    assert row.last_error == "TimedOut: the provider has not answered within 0.2 s"
    assert seen == ["evt_2"]
