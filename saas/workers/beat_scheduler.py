"""Celery's scheduler, with its memory in the database: there may be any number of beats, and each task is sent once.

Before a task is sent its slot is claimed: a beat reads which slot was claimed last, and changes the row only if it still
says so. The slots are moments of the database's clock, and not counted from a start: a restart postpones nothing, and what
was missed meanwhile is sent once. There is no leader, no lock that outlives a statement, and no file.
"""

import logging
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.beat import ScheduleEntry, Scheduler, SchedulingError
from celery.schedules import schedule
from django.db import DatabaseError, InterfaceError
from django.db.models import F

from saas.database import connections
from saas.database.clock import database_now
from saas.operations.models import Heartbeat, ScheduledTask

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 5.0
TICK_SECONDS = 1.0
# Whatever lies further ahead was claimed before the database's clock stepped back, or before its schedule changed.
MAX_AHEAD = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class DatabaseScheduler(Scheduler):
    _beaten_at = float("-inf")
    _is_ending: list[int] | None = None

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due; tells how many seconds to sleep. A database or a broker that is away ends nothing."""
        if self._is_ending is None:
            self._is_ending = _signals_noted()
        if self._is_ending:
            raise SystemExit
        try:
            if time.monotonic() - self._beaten_at >= HEARTBEAT_SECONDS:
                Heartbeat.objects.record("beat")
                self._beaten_at = time.monotonic()
            self._send_what_is_due()
        except (DatabaseError, InterfaceError):
            logger.warning("beat_without_database", exc_info=True)
            connections.discard_connections()
        return TICK_SECONDS

    def _send_what_is_due(self) -> None:
        now = database_now()
        known = {row.name: row for row in ScheduledTask.objects.all()}
        for entry in list(self.schedule.values()):
            if (row := known.get(str(entry.name))) is None:
                _begin(entry, now)
            elif slot := due_slot(entry.schedule, row.slot, now):
                self._send(entry, row, slot)

    def _send(self, entry: ScheduleEntry, row: ScheduledTask, slot: datetime) -> None:
        if not claim_slot(row, slot):
            return
        try:
            self.apply_async(entry, producer=self.producer, advance=False)
        except SchedulingError:
            logger.warning("scheduled_task_not_sent", extra={"task": entry.task}, exc_info=True)
            release_slot(row)


def _signals_noted() -> list[int]:
    """Celery's own handlers raise wherever this process stands, between a claim and its sending too: these write down who
    asked it to end, and the next tick does."""
    asked: list[int] = []
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: asked.append(number))
    return asked


def due_slot(plan: Any, claimed: datetime, now: datetime) -> datetime | None:
    """The slot that is to be claimed now, if it is another one than that which was claimed last. ``plan``: one of Celery's
    schedules, an interval or a crontab."""
    if isinstance(plan, schedule):
        every: timedelta = plan.run_every  # type: ignore[attr-defined]  # which its stubs have forgotten
        slot = now - (now - _EPOCH) % every
        return slot if slot > claimed or claimed > now + every + MAX_AHEAD else None
    if claimed > now + MAX_AHEAD:
        return now
    plan.nowfun = lambda: now
    return now if plan.remaining_estimate(claimed) <= timedelta() else None


def claim_slot(row: ScheduledTask, slot: datetime) -> bool:
    """False if another beat was faster."""
    unchanged = ScheduledTask.objects.filter(name=row.name, runs=row.runs)
    return bool(unchanged.update(slot=slot, runs=F("runs") + 1))


def release_slot(row: ScheduledTask) -> None:
    """It was not sent: whoever looks next may try, unless a later slot was claimed meanwhile."""
    ScheduledTask.objects.filter(name=row.name, runs=row.runs + 1).update(slot=row.slot, runs=F("runs") + 1)


def _begin(entry: ScheduleEntry, now: datetime) -> None:
    """A task that is new waits for its next slot."""
    slot = due_slot(entry.schedule, _EPOCH, now) or now
    ScheduledTask.objects.bulk_create([ScheduledTask(name=str(entry.name), slot=slot)], ignore_conflicts=True)
