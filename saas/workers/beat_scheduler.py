"""A Celery beat scheduler that keeps its state in the database: any number of beats may run, and each task is sent once.

Before a task is sent its slot is claimed: a beat reads which slot was claimed last, and updates the row only if that is
unchanged. Slots are times of the database's clock, not counted from a start: a restart postpones nothing, and slots that were
missed meanwhile are sent once. There is no leader, no lock that outlives a statement, and no file.
"""

import logging
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.beat import Scheduler, SchedulingError
from celery.schedules import schedule
from django.db import DatabaseError, InterfaceError
from django.db.models import F
from kombu.exceptions import OperationalError as BrokerUnavailable

from saas.database import connections
from saas.database.clock import database_now
from saas.operations.models import Heartbeat, ScheduledTask
from saas.operations.rotation.process_reports import report_secrets

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 5.0
TICK_SECONDS = 1.0
# A claimed slot further ahead was claimed before the database's clock was set back, or before its schedule changed.
MAX_AHEAD = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class DatabaseScheduler(Scheduler):
    _heartbeat_at = float("-inf")
    _stop_signals: list[int] | None = None

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send due tasks and return how many seconds to sleep. An unavailable database or broker does not end the process."""
        if self._stop_signals is None:
            self._stop_signals = _collect_signals()
        if self._stop_signals:
            raise SystemExit
        try:
            if time.monotonic() - self._heartbeat_at >= HEARTBEAT_SECONDS:
                Heartbeat.objects.record("beat")
                report_secrets("beat")
                self._heartbeat_at = time.monotonic()
            self._send_due_tasks()
        except (DatabaseError, InterfaceError):
            logger.warning("beat_without_database", exc_info=True)
            connections.discard_connections()
        return TICK_SECONDS

    def _send_due_tasks(self) -> None:
        now = database_now()
        known = {row.name: row for row in ScheduledTask.objects.all()}
        for entry in list(self.schedule.values()):
            if (row := known.get(str(entry.name))) is None:
                row = ScheduledTask(name=str(entry.name), slot=due_slot(entry.schedule, _EPOCH, now) or now)
                ScheduledTask.objects.bulk_create([row], ignore_conflicts=True)  # it waits for its next slot
            elif (slot := due_slot(entry.schedule, row.slot, now)) and claim_slot(row, slot):
                try:
                    self.apply_async(entry, producer=self.producer, advance=False)
                except (SchedulingError, BrokerUnavailable):
                    logger.warning("scheduled_task_not_sent", extra={"task": entry.task}, exc_info=True)
                    release_slot(row)

    def _ensure_connected(self) -> Any:
        """Connect, or raise at once: Celery's own tries until there is a broker, and beat could neither show that it is alive
        nor be stopped meanwhile."""
        return self.connection.ensure_connection(max_retries=0)


def _collect_signals() -> list[int]:
    """Collect stop signals for the next tick. Celery's own handlers raise anywhere, even between a claim and its sending."""
    asked: list[int] = []
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: asked.append(number))
    return asked


def due_slot(plan: Any, claimed: datetime, now: datetime) -> datetime | None:
    """Return the slot to claim now, if it is not the one claimed last. ``plan``: one of Celery's schedules."""
    if isinstance(plan, schedule):
        every: timedelta = plan.run_every  # type: ignore[attr-defined]  # missing in its stubs
        slot = now - (now - _EPOCH) % every
        return slot if slot > claimed or claimed > now + every + MAX_AHEAD else None
    if claimed > now + MAX_AHEAD:
        return now
    plan.nowfun = lambda: now
    return now if plan.remaining_estimate(claimed) <= timedelta() else None


def claim_slot(row: ScheduledTask, slot: datetime) -> bool:
    """Return False if another beat claimed it first."""
    unchanged = ScheduledTask.objects.filter(name=row.name, runs=row.runs)
    return bool(unchanged.update(slot=slot, runs=F("runs") + 1))


def release_slot(row: ScheduledTask) -> None:
    """Undo a claim that could not be sent, unless a later slot was claimed meanwhile."""
    ScheduledTask.objects.filter(name=row.name, runs=row.runs + 1).update(slot=row.slot, runs=F("runs") + 1)
