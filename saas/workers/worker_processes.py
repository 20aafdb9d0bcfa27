"""Heartbeats and progress of the processes that execute tasks (not of a pool's parent).

A thread writes the heartbeat, so an idle process has one, too. It tells for how long the process has made no progress. A
process whose tasks fail repeatedly because of the infrastructure (database, disk, memory) terminates; its pool, its
supervisor or its container starts another one.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, InterfaceError, ProgrammingError, connections
from django.db.models.functions import Now

from saas.database.connections import CONNECTION_ERRORS
from saas.operations.models import Heartbeat, WorkerProcess
from saas.operations.processes import is_process_alive, process_name
from saas.operations.rotation.process_reports import report_secrets

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 10.0
MAX_CONSECUTIVE_FAILURES = 5
MIN_FAILING_SECONDS = 10.0  # a pool gives up if its processes end faster
DELETED_AFTER = timedelta(minutes=10)  # without a heartbeat, on another machine
# Django raises ProgrammingError for a connection whose transaction state it has lost.
_INFRASTRUCTURE = (*CONNECTION_ERRORS, ProgrammingError, OSError, MemoryError)


def lower_priority() -> None:
    """Let the services of this machine answer first. A process that started with an even lower priority keeps it."""
    os.setpriority(os.PRIO_PROCESS, 0, max(settings.WORKER_NICE, os.getpriority(os.PRIO_PROCESS, 0)))


def is_infrastructure_error(error: BaseException) -> bool:
    return isinstance(error, _INFRASTRUCTURE)


class TaskProgress:
    """Tracks running tasks and consecutive infrastructure failures of all threads of this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._running: dict[object, float] = {}
        self._failures = 0
        self._failing_since = self._failed_at = 0.0

    def task_started(self, task: object) -> None:
        with self._lock:
            self._running[task] = self._clock()

    def task_ended(self, task: object, error: BaseException | None = None) -> None:
        """``error``: why it failed, if it did. A failure that is the task's own counts as progress."""
        with self._lock:
            self._running.pop(task, None)
            if error is None or not is_infrastructure_error(error):
                self._failures = 0
                return
            self._failed_at = self._clock()
            if not self._failures:
                self._failing_since = self._failed_at
            self._failures += 1

    @property
    def must_terminate(self) -> bool:
        return (
            self._failures >= MAX_CONSECUTIVE_FAILURES and self._failed_at - self._failing_since >= MIN_FAILING_SECONDS
        )

    def stuck_seconds(self) -> float:
        """Return for how long the oldest task has run, or all tasks have failed, whichever is longer."""
        with self._lock:
            running = self._clock() - min(self._running.values(), default=self._clock())
            failing = self._failed_at - self._failing_since if self._failures else 0.0
            return max(running, failing)


class HeartbeatThread:
    """Records a heartbeat of this process every ``HEARTBEAT_SECONDS``, from ``start`` to ``stop``."""

    def __init__(self, progress: TaskProgress) -> None:
        self._progress = progress
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._ended = threading.Event()  # this process may be a fork of one that had started
        self._thread = threading.Thread(target=self._run, args=[self._ended], name="worker-presence", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._thread is None:
            return
        self._ended.set()
        self._thread = None
        with suppress(DatabaseError, InterfaceError):
            WorkerProcess.objects.filter(name=process_name()).delete()

    def _run(self, ended: threading.Event) -> None:
        is_first = True
        while not ended.is_set():
            error = self._record(is_first=is_first)
            if error:  # once more: Celery closes a child's pool around each task, also while this thread waits for a connection
                error = self._record(is_first=is_first)
            if error:
                logger.warning("worker_heartbeat_failed: %s", error)
            is_first = is_first and error is not None
            ended.wait(HEARTBEAT_SECONDS)

    def _record(self, *, is_first: bool) -> Exception | None:
        """Return why it failed: the next heartbeat may succeed."""
        try:
            record_worker_heartbeat(process_name(), timedelta(seconds=self._progress.stuck_seconds()))
            delete_dead_processes()
            report_secrets("worker")
            if is_first:  # before beat sends its first sweep
                Heartbeat.objects.record("worker")
        except Exception as error:
            return error
        finally:
            connections.close_all()
        return None


def record_worker_heartbeat(process: str, stuck: timedelta) -> None:
    """Record that ``process`` is alive, and since when it has made no progress, by the database's clock."""
    shown = {"seen_at": Now(), "stuck_since": Now() - stuck}
    WorkerProcess.objects.update_or_create(name=process, defaults=shown)


def delete_dead_processes() -> None:
    """Delete the rows of this machine's processes that have ended, and of others without a heartbeat for ``DELETED_AFTER``."""
    machine = f"{socket.gethostname()}:"
    here = WorkerProcess.objects.filter(name__startswith=machine).values_list("name", flat=True)
    dead = [process for process in here if not is_process_alive(int(process.rpartition(":")[2]))]
    WorkerProcess.objects.filter(name__in=dead).delete()
    WorkerProcess.objects.filter(seen_at__lt=Now() - DELETED_AFTER).delete()


def terminate_process() -> None:
    """Exit at once, without clean-up that needs the failing infrastructure."""
    logger.critical("worker_process_ends", extra={"process": process_name(), "failures": MAX_CONSECUTIVE_FAILURES})
    logging.shutdown()
    os._exit(1)


task_progress = TaskProgress()
heartbeat_thread = HeartbeatThread(task_progress)
