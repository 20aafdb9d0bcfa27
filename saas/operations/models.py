"""Rows in which the running system records its own state: heartbeats, worker processes, scheduled tasks, counters."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone


class HeartbeatQuerySet(models.QuerySet["Heartbeat"]):
    def record(self, name: str) -> None:
        """Note that ``name`` is alive now, by the database's clock: a process whose clock is ahead must not outlive its death."""
        self.update_or_create(name=name, defaults={"at": Now()})

    def age(self, name: str, now: datetime) -> timedelta | None:
        """How long ago ``name`` last recorded a heartbeat; ``None`` if it never did."""
        heartbeat = self.filter(name=name).first()
        return now - heartbeat.at if heartbeat else None

    def names_since(self, moment: datetime) -> set[str]:
        """The processes that have recorded a heartbeat since ``moment``."""
        return set(self.filter(at__gte=moment).values_list("name", flat=True))


class Heartbeat(models.Model):
    """The last heartbeat of a process that answers no requests: ``worker`` or ``beat``."""

    name = models.CharField(max_length=32, primary_key=True)
    at = models.DateTimeField(default=timezone.now)

    objects = HeartbeatQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


class WorkerProcessQuerySet(models.QuerySet["WorkerProcess"]):
    def unresponsive(self, since: timedelta) -> WorkerProcessQuerySet:
        """Processes without a heartbeat, or without progress, for longer than ``since``."""
        moment = Now() - since
        return self.filter(Q(seen_at__lt=moment) | Q(stuck_since__lt=moment))


class WorkerProcess(models.Model):
    """A process that runs tasks; its row is deleted when it ends. Times are those of the database's clock."""

    name = models.CharField(max_length=100, primary_key=True)  # machine:process id, as in the log of attempts
    seen_at = models.DateTimeField()
    stuck_since = models.DateTimeField()  # the time of the heartbeat itself while it makes progress

    objects = WorkerProcessQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


class ScheduledTask(models.Model):
    """The latest run of a task that beat sends. A beat claims the next run by changing ``runs`` from the number it read."""

    name = models.CharField(max_length=200, primary_key=True)
    slot = models.DateTimeField()
    runs = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return self.name


class Counter(models.Model):
    """One window of a rate limit, counted in the database where there is no Redis."""

    key = models.CharField(max_length=250, primary_key=True)
    value = models.PositiveBigIntegerField()
    expires_at = models.DateTimeField(db_index=True)
