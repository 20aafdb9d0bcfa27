"""Health is red while work is due and a process of a worker does nothing."""

from datetime import timedelta

import pytest
from django.utils import timezone

from saas.operations import checks
from saas.operations.models import Heartbeat, WorkerProcess
from saas.testing.factories.event_factories import event, json_bytes
from saas.webhook_events.actions import store_deliveries
from saas.webhook_events.event_storage import IncomingEvent
from saas.workers.worker_processes import record_worker_heartbeat


def an_event_is_due() -> None:
    store_deliveries([IncomingEvent.parse(json_bytes(event("evt_1")), headers={})])


@pytest.mark.parametrize(("seen", "stuck"), [(61, 61), (5, 70)], ids=["shows nothing", "does not get on"])
def test_health_is_red_when_a_worker_process_is_idle_while_work_is_due(db, seen: int, stuck: int) -> None:
    Heartbeat.objects.record("worker")
    now = timezone.now()
    WorkerProcess.objects.create(
        name="elsewhere:7", seen_at=now - timedelta(seconds=seen), stuck_since=now - timedelta(seconds=stuck)
    )
    record_worker_heartbeat("elsewhere:8", timedelta())

    assert checks.worker() == "last heartbeat 0 s ago"
    an_event_is_due()
    with pytest.raises(RuntimeError, match=r"work is due, and for a minute nothing was done by elsewhere:7$"):
        checks.worker()


def test_processes_that_get_on_are_green_whatever_is_due(db) -> None:
    Heartbeat.objects.record("worker")
    record_worker_heartbeat("elsewhere:7", timedelta(seconds=50))
    an_event_is_due()

    assert checks.worker() == "last heartbeat 0 s ago"
