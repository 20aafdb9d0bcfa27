"""Tell a worker to look now.

The row in the database is the queue (decision 1); the message only carries an id and may be lost, doubled or late. So
ringing never fails the request that rings: it happens after the commit, gives up within half a second, and a breaker
keeps the next callers from waiting for a broker that is away. A sweep finds what was not rung for.
"""

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from celery import Task
from celery.contrib.django.task import DjangoTask
from celery.exceptions import TaskPredicate
from django.db import transaction
from prometheus_client import Counter

from saas import request_context

if TYPE_CHECKING:
    _DjangoTask = DjangoTask[Any, Any]
else:
    _DjangoTask = DjangoTask

logger = logging.getLogger(__name__)

BREAKER_SECONDS = 5.0
EXPIRES_SECONDS = 300


NOTIFICATION_FAILURES = Counter(
    "doorbell_failures", "Bells that could not be rung: the sweep finds what waits.", ["task"]
)


class CircuitBreaker:
    """Open for ``seconds`` after a failure: while open, nobody tries."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self.clock = clock
        self.closed_from = float("-inf")

    @property
    def is_open(self) -> bool:
        return self.clock() < self.closed_from

    def trip(self) -> None:
        self.closed_from = self.clock() + self.seconds


broker_circuit_breaker = CircuitBreaker(BREAKER_SECONDS)


class ContextTask(_DjangoTask):
    """Every task of ours: it runs under the request id, and for the user, of the request that rang for it."""

    def __call__(self, *args: object, **kwargs: object) -> object:
        request_id = getattr(self.request, "saas_request_id", None) or request_context.new_request_id()
        user_id = getattr(self.request, "saas_user_id", None) or ""
        with request_context.use_context(request_context.Context(request_id, user_id=user_id)):
            try:
                return super().__call__(*args, **kwargs)
            except TaskPredicate:  # not a failure: try again, or leave it
                raise
            except Exception:
                # Celery's own line comes after this block, when nobody knows any more whose request it was.
                logger.exception("task_failed", extra={"task": self.name})
                raise


def notify_workers(task: "Task[Any, Any]", id: int | str) -> None:
    """Ask a worker to run ``task(id)`` once the current transaction has committed. Never raises for a broker's sake."""
    transaction.on_commit(lambda: notify_workers_now(task, id), robust=True)


def notify_workers_now(task: "Task[Any, Any]", id: int | str) -> None:
    """The same after the commit. Asks no database."""
    if broker_circuit_breaker.is_open:
        NOTIFICATION_FAILURES.labels(task.name).inc()
        return
    try:
        current = request_context.current()
        headers = {"saas_request_id": current.request_id, "saas_user_id": current.user_id}
        task.apply_async((id,), expires=EXPIRES_SECONDS, ignore_result=True, headers=headers)
    except Exception:
        broker_circuit_breaker.trip()
        NOTIFICATION_FAILURES.labels(task.name).inc()
        logger.warning("doorbell_failed", extra={"task": task.name, "row": id}, exc_info=True)
