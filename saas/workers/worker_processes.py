"""Each process that works shows by itself that it lives and gets on; whoever only starts others does not count.

A thread of its own writes the sign, so an idle process shows one, too, and a stopped or stuck one does not for long. What
a process holds is its row's business no more once it has failed several times in a row for want of a database or a disk:
it ends, and its pool, its supervisor or its container starts another one.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from django.db import DatabaseError, InterfaceError, ProgrammingError, connections
from django.db.models.functions import Now

from saas.database.connections import CONNECTION_ERRORS
from saas.operations.models import Heartbeat, WorkerProcess

logger = logging.getLogger(__name__)

SECOND_HEARTBEAT_SECONDS = 1.0
HEARTBEAT_SECONDS = 10.0
MAX_CONSECUTIVE_FAILURES = 5
MIN_FAILING_SECONDS = 10.0  # at least: a pool that starts processes faster than that gives up
DELETED_AFTER = timedelta(minutes=10)  # a process of another machine that has not been seen for so long is gone with it
# A ProgrammingError is what Django says of a connection whose transaction it has lost track of.
_INFRASTRUCTURE = (*CONNECTION_ERRORS, ProgrammingError, OSError, MemoryError)


def process_name() -> str:
    """As in the log of attempts."""
    return f"{socket.gethostname()}:{os.getpid()}"[:100]


def is_infrastructure_error(error: BaseException) -> bool:
    return isinstance(error, _INFRASTRUCTURE)


class TaskProgress:
    """Whether this process gets on with what it is given. All of its threads tell."""

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
        """``error``: why it failed, if it did. What is the task's own fault is progress, too."""
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
        """How long the oldest task has run, or all have failed."""
        with self._lock:
            running = self._clock() - min(self._running.values(), default=self._clock())
            failing = self._failed_at - self._failing_since if self._failures else 0.0
            return max(running, failing)


class HeartbeatThread:
    """The signs of life of this process, from ``begin`` to ``end``."""

    def __init__(self, progress: TaskProgress) -> None:
        self._progress = progress
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._ended = threading.Event()  # a new one: this process may be a fork of one that had begun
        self._thread = threading.Thread(target=self._show, args=[self._ended], name="worker-presence", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._thread is None:
            return
        self._ended.set()
        self._thread = None
        with suppress(DatabaseError, InterfaceError):
            WorkerProcess.objects.filter(name=process_name()).delete()

    def _show(self, ended: threading.Event) -> None:
        is_first = True
        while not ended.is_set():
            try:
                self._show_once(is_first=is_first)
                is_first = False
            except Exception as error:  # whatever it was, the next sign is shown
                logger.warning("sign_of_life_not_written: %s", error)
            finally:
                connections.close_all()
            # Celery closes the pool that a process inherited at the moment when this begins: then soon once more.
            ended.wait(SECOND_HEARTBEAT_SECONDS if is_first else HEARTBEAT_SECONDS)

    def _show_once(self, *, is_first: bool) -> None:
        record_worker_heartbeat(process_name(), timedelta(seconds=self._progress.stuck_seconds()))
        delete_dead_processes()
        if is_first:  # seen at once, and not only when beat sends its first sweep
            Heartbeat.objects.record("worker")


def record_worker_heartbeat(process: str, stuck: timedelta) -> None:
    """Note that ``process`` lives, and for how long it has not got on, by the database's clock."""
    shown = {"seen_at": Now(), "stuck_since": Now() - stuck}
    WorkerProcess.objects.update_or_create(name=process, defaults=shown)


def delete_dead_processes() -> None:
    """Those of this machine that were killed, and those of other machines that have been away for long."""
    machine = f"{socket.gethostname()}:"
    here = WorkerProcess.objects.filter(name__startswith=machine).values_list("name", flat=True)
    dead = [process for process in here if not _lives(int(process.rpartition(":")[2]))]
    WorkerProcess.objects.filter(name__in=dead).delete()
    WorkerProcess.objects.filter(seen_at__lt=Now() - DELETED_AFTER).delete()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def terminate_process() -> None:
    """At once, without asking anything of what does not work any more."""
    logger.critical("worker_process_ends", extra={"process": process_name(), "failures": MAX_CONSECUTIVE_FAILURES})
    logging.shutdown()
    os._exit(1)


task_progress = TaskProgress()
heartbeat_thread = HeartbeatThread(task_progress)
