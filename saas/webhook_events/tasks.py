"""Looking at what waits. Messages carry an id and may be lost, doubled or late: the rows decide."""

import time

from celery import shared_task

from saas.operations.models import Heartbeat
from saas.webhook_events import retention
from saas.webhook_events.monitoring import alarms
from saas.webhook_events.processing import event_worker

WORK_SECONDS, HEARTBEAT_EVERY_SECONDS = 20.0, 5.0


@shared_task(name="saas.webhook_events.tasks.look")  # the name in messages of older releases
def process_due_events(event_id: int) -> None:
    """The doorbell: act on whatever is due. ``event_id`` says what rang; by now it may be done, or one of many."""
    _work()


@shared_task
def sweep() -> None:
    """Find what no bell announced: lost messages, retries whose time has come, work of the dead."""
    alarms.check_sweep_alarm()  # before it is seen to live again
    _work()
    alarms.check_alarms()


@shared_task(name="saas.webhook_events.tasks.tidy")
def delete_expired() -> None:
    """Delete what is past its time."""
    retention.delete_expired()


def _work() -> None:
    """Act on what is due, with a sign of life now and then."""
    deadline = time.monotonic() + WORK_SECONDS
    while (started := time.monotonic()) < deadline:
        Heartbeat.objects.record("worker")
        event_worker.drain(HEARTBEAT_EVERY_SECONDS)
        if time.monotonic() - started < HEARTBEAT_EVERY_SECONDS:
            return
