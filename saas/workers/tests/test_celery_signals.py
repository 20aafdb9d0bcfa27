"""What happens around each task in a process that runs tasks for the broker."""

from collections.abc import Iterator

import pytest
from django.db import OperationalError, connection

from saas.workers import celery_signals
from saas.workers.celery_signals import end_task, record_error, start_task
from saas.workers.time_limit import time_limits
from saas.workers.worker_processes import TaskProgress

pytestmark = pytest.mark.django_db(transaction=True)  # connections are looked at and replaced


@pytest.fixture(autouse=True)
def ended(monkeypatch) -> Iterator[list[bool]]:
    """``True`` for each time this process would have ended itself. The progress of tasks begins anew."""
    ended: list[bool] = []
    monkeypatch.setattr(celery_signals, "task_progress", TaskProgress())
    monkeypatch.setattr(celery_signals, "terminate_process", lambda: ended.append(True))
    yield ended
    time_limits.remove("task")


def test_a_task_has_a_time_limit_from_its_start_to_its_end() -> None:
    start_task("task")
    limited = "task" in time_limits._deadlines
    end_task("task")

    assert (limited, "task" in time_limits._deadlines) == (True, False)


@pytest.mark.parametrize(("failures", "expected"), [(4, []), (5, [True])])
def test_a_process_ends_itself_when_its_infrastructure_fails_for_long(monkeypatch, ended, failures, expected) -> None:
    clock = iter(range(0, 1000, 5))
    monkeypatch.setattr(celery_signals, "task_progress", TaskProgress(lambda: next(clock)))

    for _ in range(failures):
        start_task("task")
        record_error(OSError("no space left"))
        end_task("task")

    assert ended == expected


@pytest.mark.postgres
def test_a_task_begins_with_a_connection_that_commits_by_itself() -> None:
    connection.ensure_connection()
    connection.set_autocommit(False)

    start_task("task")

    assert connection.get_autocommit() is True
    end_task("task")


@pytest.mark.postgres
@pytest.mark.parametrize(("error", "is_kept"), [(None, True), (ValueError(), True), (OperationalError(), False)])
def test_after_a_database_error_the_next_task_has_a_new_connection(error, is_kept) -> None:
    start_task("task")
    connection.ensure_connection()
    before = connection.connection

    record_error(error)
    end_task("task")
    connection.ensure_connection()

    assert (connection.connection is before) is is_kept
