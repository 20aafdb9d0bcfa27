"""What the running system notes about itself."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone


class HeartbeatQuerySet(models.QuerySet["Heartbeat"]):
    def age(self, name: str, now: datetime) -> timedelta | None:
        """How long ago ``name`` last beat; ``None`` if it never did."""
        beat = self.filter(name=name).first()
        return now - beat.at if beat else None

    def names_since(self, moment: datetime) -> set[str]:
        """Who has beaten since then."""
        return set(self.filter(at__gte=moment).values_list("name", flat=True))


class Heartbeat(models.Model):
    """The last sign of life of a process that answers no requests: ``worker`` or ``beat``."""

    name = models.CharField(max_length=32, primary_key=True)
    at = models.DateTimeField(default=timezone.now)

    objects = HeartbeatQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


class WorkerProcessQuerySet(models.QuerySet["WorkerProcess"]):
    def unresponsive(self, since: timedelta) -> WorkerProcessQuerySet:
        """Those that have shown nothing for so long, or nothing but that they live."""
        moment = Now() - since
        return self.filter(Q(seen_at__lt=moment) | Q(stuck_since__lt=moment))


class WorkerProcess(models.Model):
    """A process that works, and not only starts others; gone with it. Moments are by the database's clock."""

    name = models.CharField(max_length=100, primary_key=True)  # machine:process id, as in the log of attempts
    seen_at = models.DateTimeField()
    stuck_since = models.DateTimeField()  # the moment of the sign itself while it gets on

    objects = WorkerProcessQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


class ScheduledTask(models.Model):
    """The latest run of a task that beat sends: whoever changes ``runs`` from what it was has claimed the next one."""

    name = models.CharField(max_length=200, primary_key=True)
    slot = models.DateTimeField()
    runs = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return self.name


class Counter(models.Model):
    """A rate limit's window, counted here where there is no Redis."""

    key = models.CharField(max_length=250, primary_key=True)
    value = models.PositiveBigIntegerField()
    expires_at = models.DateTimeField(db_index=True)
