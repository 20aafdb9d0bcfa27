"""Send tasks to workers.

The row in the database is the queue (decision 1); a message only carries its id and may be lost, duplicated or late. So
sending never fails the request: it happens after the commit and gives up within half a second, and a circuit breaker keeps
the next callers from waiting for an unavailable broker. A periodic sweep finds rows without a message.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

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

T = TypeVar("T")

BREAKER_SECONDS = 5.0
EXPIRES_SECONDS = 300
SLICE_SECONDS = 25.0  # well below CELERY_TASK_TIME_LIMIT, which ends the process


NOTIFICATION_FAILURES = Counter(
    "doorbell_failures", "Notifications to workers that could not be sent; the sweep finds the rows.", ["task"]
)


class CircuitBreaker:
    """Open for ``seconds`` after a failure. ``clock`` is monotonic."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self.clock = clock
        self.open_until = float("-inf")

    @property
    def is_open(self) -> bool:
        return self.clock() < self.open_until

    def trip(self) -> None:
        self.open_until = self.clock() + self.seconds


broker_circuit_breaker = CircuitBreaker(BREAKER_SECONDS)


class ContextTask(_DjangoTask):
    """The base class of all tasks: runs with the request id and the user id of the request that sent it."""

    def __call__(self, *args: object, **kwargs: object) -> object:
        request_id = getattr(self.request, "saas_request_id", None) or request_context.new_request_id()
        user_id = getattr(self.request, "saas_user_id", None) or ""
        with request_context.use_context(request_context.Context(request_id, user_id=user_id)):
            request_context.annotate_span()
            try:
                return super().__call__(*args, **kwargs)
            except TaskPredicate:  # a retry or a rejection, no failure
                raise
            except Exception:
                # Celery logs after this block, without the request id.
                logger.exception("task_failed", extra={"task": self.name})
                raise


def for_a_while(rows: Iterable[T], seconds: float = SLICE_SECONDS) -> Iterator[T]:
    """Yield the rows until ``seconds`` are over, at least one: for tasks that ask a provider about each. The next run goes on.

    Rows that do not wait for a next attempt come in random order (``order_by("?")``), so that all get their turn although some
    fail each time.
    """
    deadline = time.monotonic() + seconds
    for row in rows:
        yield row
        if time.monotonic() >= deadline:
            return


def notify_workers(task: "Task[Any, Any]", id: int | str) -> None:
    """Send ``task(id)`` once the current transaction has committed. Never raises because of the broker."""
    transaction.on_commit(lambda: notify_workers_now(task, id), robust=True)


def notify_workers_now(task: "Task[Any, Any]", id: int | str) -> None:
    """Send ``task(id)`` now, without a query. Never raises because of the broker."""
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
