"""Whether a worker's process gets on, and who is forgotten when it is dead."""

import os
import socket
from datetime import timedelta

import pytest
import time_machine
from django.db import IntegrityError, InternalError, OperationalError, ProgrammingError
from django.utils import timezone

from saas.operations.models import Heartbeat, ProcessSecrets, WorkerProcess
from saas.operations.processes import process_name
from saas.testing.servers.stack import eventually
from saas.workers.worker_processes import (
    HeartbeatThread,
    TaskProgress,
    delete_dead_processes,
    is_infrastructure_error,
    lower_priority,
    record_worker_heartbeat,
)

NEVER_A_PROCESS = 2**22 + 1


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def fail(progress: TaskProgress, clock: Clock, times: int, every_seconds: float, error: Exception) -> None:
    for _ in range(times):
        progress.task_started("task")
        progress.task_ended("task", error)
        clock.now += every_seconds


@pytest.mark.parametrize(
    ("times", "every_seconds", "error", "is_beyond_help"),
    [
        (5, 3.0, OperationalError("away"), True),
        (5, 3.0, OSError("no space left"), True),
        (4, 5.0, OperationalError("away"), False),
        (50, 0.1, OperationalError("away"), False),  # five seconds only: a pool that starts too many gives up
        (9, 3.0, ValueError("the task's own fault"), False),
    ],
)
def test_consecutive_failures_for_some_seconds_terminate_a_process(
    clock: Clock, times: int, every_seconds: float, error: Exception, is_beyond_help: bool
) -> None:
    progress = TaskProgress(clock)

    fail(progress, clock, times, every_seconds, error)

    assert progress.must_terminate is is_beyond_help


def test_one_success_makes_it_whole(clock: Clock) -> None:
    progress = TaskProgress(clock)
    fail(progress, clock, 4, 5.0, OperationalError("away"))

    assert progress.stuck_seconds() == 15
    progress.task_ended("task")
    fail(progress, clock, 1, 5.0, OperationalError("away"))

    assert progress.must_terminate is False


def test_it_is_stuck_for_as_long_as_its_oldest_task_has_run(clock: Clock) -> None:
    progress = TaskProgress(clock)
    progress.task_started("old")
    clock.now = 7
    progress.task_started("new")
    clock.now = 10

    assert progress.stuck_seconds() == 10
    progress.task_ended("old")
    assert progress.stuck_seconds() == 3
    progress.task_ended("new")
    assert progress.stuck_seconds() == 0


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OperationalError(), True),
        (InternalError(), True),
        (ProgrammingError(), True),
        (OSError(), True),
        (MemoryError(), True),
        (IntegrityError(), False),
        (KeyError(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_the_tasks_own_fault(error: Exception, expected: bool) -> None:
    assert is_infrastructure_error(error) is expected


@pytest.mark.parametrize(("before", "expected"), [(0, 10), (15, 15)])
def test_a_worker_lowers_its_priority_and_never_raises_it(settings, monkeypatch, before: int, expected: int) -> None:
    settings.WORKER_NICE = 10
    given: list[tuple[int, ...]] = []
    monkeypatch.setattr(os, "getpriority", lambda *_: before)
    monkeypatch.setattr(os, "setpriority", lambda *arguments: given.append(arguments))

    lower_priority()

    assert given == [(os.PRIO_PROCESS, 0, expected)]


def test_a_heartbeat_is_of_the_databases_clock(db) -> None:
    with time_machine.travel(timezone.now() + timedelta(minutes=10), tick=False):
        Heartbeat.objects.record("worker")

    assert Heartbeat.objects.get().at < timezone.now() + timedelta(minutes=1)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_process_shows_itself_and_its_secrets_from_its_start_to_its_end() -> None:
    thread = HeartbeatThread(TaskProgress())

    thread.start()
    try:
        eventually(Heartbeat.objects.filter(name="worker").exists, 25)
        shown = [ProcessSecrets.objects.get().role, WorkerProcess.objects.get().name]
    finally:
        thread.stop()

    assert shown == ["worker", process_name()]
    assert not WorkerProcess.objects.exists()


def test_rows_of_dead_processes_are_deleted_those_of_other_machines_later(db) -> None:
    here = socket.gethostname()
    for process in (process_name(), f"{here}:{NEVER_A_PROCESS}", "elsewhere:7"):
        record_worker_heartbeat(process, timedelta())
    for minutes in (9, 11):
        seen_at = timezone.now() - timedelta(minutes=minutes)
        WorkerProcess.objects.create(name=f"elsewhere:{minutes}", seen_at=seen_at, stuck_since=seen_at)

    delete_dead_processes()

    assert set(WorkerProcess.objects.values_list("name", flat=True)) == {
        f"{here}:{os.getpid()}",
        "elsewhere:7",
        "elsewhere:9",
    }
