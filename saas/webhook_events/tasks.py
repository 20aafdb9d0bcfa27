"""The worker's tasks, and telling workers about stored events.

A message carries an id and may be lost, repeated or late: the rows decide what is done.
"""

import threading
import time

from celery import shared_task

from saas import request_context
from saas.background_tasks import notify_workers_now
from saas.operations.models import Heartbeat
from saas.operations.retention import passes
from saas.webhook_events.monitoring import alerts
from saas.webhook_events.processing import event_worker

WORK_SECONDS, HEARTBEAT_EVERY_SECONDS = 20.0, 5.0
NOTIFY_EVERY_SECONDS = 0.05


@shared_task(name="saas.webhook_events.tasks.look")  # workers of other releases know it by this name
def process_due_events(event_id: int) -> None:
    """Process everything that is due. ``event_id`` is one stored event; by now it may be processed, or one of many."""
    _work()


@shared_task
def sweep() -> None:
    """Process what no message announced: lost messages, retries that are due, claims of crashed workers. Check alerts."""
    alerts.check_alert("sweep")  # before this run's heartbeat clears it
    _work()
    alerts.check_alerts()


@shared_task(name="saas.webhook_events.tasks.tidy")
def delete_expired() -> None:
    """What a beat of before 0.3 sends for ``saas.operations.tasks.delete_expired``."""
    passes.delete_expired()


def _work() -> None:
    """Process what is due, with a heartbeat every few seconds."""
    deadline = time.monotonic() + WORK_SECONDS
    while (started := time.monotonic()) < deadline:
        Heartbeat.objects.record("worker")
        event_worker.drain(HEARTBEAT_EVERY_SECONDS)
        if time.monotonic() - started < HEARTBEAT_EVERY_SECONDS:
            return


class WorkerNotifier:
    """Sends ``process_due_events`` from a thread of its own, at most once in ``NOTIFY_EVERY_SECONDS``.

    One run processes everything that is due, so a message for each delivery would say nothing more. Sending one costs more
    than storing an event, and half a second while the broker is away: no response waits for it. ``notify`` may be called in
    any thread and never blocks. The sweep finds what was not sent when the process died.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending = threading.Event()
        self._thread: threading.Thread | None = None
        self._event_id, self._context = 0, request_context.current()

    def notify(self, event_id: int) -> None:
        self._event_id, self._context = event_id, request_context.current()
        self._pending.set()
        if not self._is_running():
            with self._lock:
                if not self._is_running():
                    self._thread = threading.Thread(target=self._run, name="webhook-worker-notifier", daemon=True)
                    self._thread.start()

    def _is_running(self) -> bool:
        """False before the first event, and in a process that was forked."""
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        while self._pending.wait():
            self._pending.clear()
            with request_context.use_context(self._context):
                notify_workers_now(process_due_events, self._event_id)
            time.sleep(NOTIFY_EVERY_SECONDS)


notifier = WorkerNotifier()
