"""Celery signal handlers of a worker, for every pool: time limits, heartbeats, database connections.

Task signals are connected only in processes that execute tasks for the broker: a process that calls a task within its own
request keeps its connection.
"""

import threading
from typing import Any

from celery.signals import (
    task_failure,
    task_postrun,
    task_prerun,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
)
from django.conf import settings

from saas.database import connections
from saas.workers.time_limit import time_limits
from saas.workers.worker_processes import (
    heartbeat_thread,
    is_infrastructure_error,
    lower_priority,
    task_progress,
    terminate_process,
)

_errors: dict[int, BaseException] = {}  # by thread, from a task's failure to its end


@worker_init.connect
def start_worker(**_: object) -> None:
    """Its children inherit the priority."""
    lower_priority()
    # Once more, so that it comes last: Celery's own receiver, connected just now, closes the pool that a child inherits.
    worker_process_init.disconnect(start_pool_process)
    worker_process_init.connect(start_pool_process)


@worker_process_init.connect
def start_pool_process(**_: object) -> None:
    """Discard the connections that a child has inherited."""
    connections.discard_connections()
    _start_task_handling()


@worker_ready.connect
def start_worker_threads(sender: Any = None, **_: object) -> None:
    """Start in this process if its pool has no child processes; the parent of a prefork pool only distributes tasks."""
    from celery.concurrency.prefork import TaskPool  # not needed by services

    if not isinstance(sender.pool, TaskPool):
        _start_task_handling()


def _start_task_handling() -> None:
    task_prerun.connect(start_task)
    task_failure.connect(record_error)
    task_postrun.connect(end_task)
    heartbeat_thread.start()


@worker_process_shutdown.connect
@worker_shutdown.connect
def stop_process(**_: object) -> None:
    heartbeat_thread.stop()


def start_task(task_id: str = "", **_: object) -> None:
    """Set the hard time limit, which not every pool supports."""
    connections.discard_irregular_connections()
    time_limits.add(task_id, settings.CELERY_TASK_TIME_LIMIT)
    task_progress.task_started(task_id)


def record_error(exception: BaseException | None = None, **_: object) -> None:
    if exception is not None:
        _errors[threading.get_ident()] = exception


def end_task(task_id: str = "", **_: object) -> None:
    error = _errors.pop(threading.get_ident(), None)
    time_limits.remove(task_id)
    task_progress.task_ended(task_id, error)
    if error and is_infrastructure_error(error):
        connections.discard_connections()
    connections.discard_irregular_connections()
    if task_progress.must_terminate:
        terminate_process()
