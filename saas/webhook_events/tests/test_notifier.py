"""How often workers are told of stored events."""

import threading
from types import SimpleNamespace

from saas.testing.servers.stack import eventually
from saas.webhook_events import tasks


def test_what_is_stored_during_a_pause_is_announced_once_after_it(monkeypatch):
    sent, pauses, gate = [], [], threading.Semaphore(0)

    def pause(seconds):
        pauses.append(seconds)
        gate.acquire()

    monkeypatch.setattr(tasks, "notify_workers_now", lambda task, event_id: sent.append((task.name, event_id)))
    monkeypatch.setattr(tasks, "time", SimpleNamespace(sleep=pause))
    notifier = tasks.WorkerNotifier()

    notifier.notify(1)
    eventually(lambda: len(pauses) == 1, 10)
    for event_id in (2, 3, 4):
        notifier.notify(event_id)
    gate.release()
    eventually(lambda: len(pauses) == 2, 10)

    assert pauses == [tasks.NOTIFY_EVERY_SECONDS] * 2
    assert sent == [("saas.webhook_events.tasks.look", event_id) for event_id in (1, 4)]
    assert not notifier._pending.is_set()
