"""What Celery tells of a worker's processes and tasks, in whatever pool: limits, signs of life, connections.

Only a process that works hears of tasks: one that runs a task within its own request has its own connection.
"""

import threading
from typing import Any

from celery.signals import (
    task_failure,
    task_postrun,
    task_prerun,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
)
from django.conf import settings

from saas.database import connections
from saas.workers.time_limit import watchdog
from saas.workers.worker_processes import end_this_process, is_infrastructure, presence, progress

_errors: dict[int, BaseException] = {}  # by thread, from a task's failure to its end


@worker_process_init.connect
def begin_process(**_: object) -> None:
    """A child keeps no connection of its parent's."""
    connections.discard()
    _begin()


@worker_ready.connect
def begin_threads(sender: Any = None, **_: object) -> None:
    """A pool without processes of its own works in this one; the parent of the others only hands tasks out."""
    from celery.concurrency.prefork import TaskPool  # which no service needs

    if not isinstance(sender.pool, TaskPool):
        _begin()


def _begin() -> None:
    task_prerun.connect(begin_task)
    task_failure.connect(note_error)
    task_postrun.connect(end_task)
    presence.begin()


@worker_process_shutdown.connect
@worker_shutdown.connect
def end_process(**_: object) -> None:
    presence.end()


def begin_task(task_id: str = "", **_: object) -> None:
    """Some pools know no time limit."""
    connections.discard_irregular()
    watchdog.add(task_id, settings.CELERY_TASK_TIME_LIMIT)
    progress.begin(task_id)


def note_error(exception: BaseException | None = None, **_: object) -> None:
    if exception is not None:
        _errors[threading.get_ident()] = exception


def end_task(task_id: str = "", **_: object) -> None:
    error = _errors.pop(threading.get_ident(), None)
    watchdog.remove(task_id)
    progress.end(task_id, error)
    if error and is_infrastructure(error):
        connections.discard()
    connections.discard_irregular()
    if progress.is_beyond_help:
        end_this_process()
