"""The doorbell of a stream of deliveries: rung from a thread of its own, at most once in 50 ms.

One look takes in everything that is due, so a ring for each delivery would say nothing more. Telling the broker costs more
than storing an event, and a broker that is away half a second: no answer waits for it.
"""

import threading
import time

from saas import request_context
from saas.background_tasks import notify_workers_now
from saas.webhook_events.tasks import process_due_events

MIN_INTERVAL_SECONDS = 0.05


class WorkerNotifier:
    """May be rung by any thread; never blocks. What was rung for and not told when the process dies, the sweep finds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rung = threading.Event()
        self._thread: threading.Thread | None = None
        self._event_id, self._context = 0, request_context.current()

    def notify(self, event_id: int) -> None:
        self._event_id, self._context = event_id, request_context.current()
        self._rung.set()
        if self._thread is None or not self._thread.is_alive():  # none yet, or left behind by a fork
            self._start()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="webhook-worker-notifier", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while self._rung.wait():
            self._rung.clear()
            with request_context.use_context(self._context):
                notify_workers_now(process_due_events, self._event_id)
            time.sleep(MIN_INTERVAL_SECONDS)


notifier = WorkerNotifier()
