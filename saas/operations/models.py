"""Rows in which the running system records its own state: heartbeats, processes, their secrets, scheduled tasks, counters,
retention."""

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


class ProcessSecrets(models.Model):
    """Which secrets a running process accepts, by their fingerprints: ``{"SECRET_KEY": [signs, others …]}``."""

    name = models.CharField(max_length=100, primary_key=True)  # machine:process id
    role = models.CharField(max_length=32)
    accepted = models.JSONField()
    seen_at = models.DateTimeField()

    @property
    def label(self) -> str:
        return f"{self.role} {self.name}"

    def __str__(self) -> str:
        return self.label


class SignedSecret(models.Model):
    """When a value of a secret, known by its fingerprint, signed first and last."""

    secret = models.CharField(max_length=64)
    fingerprint = models.CharField(max_length=16)
    first_signed_at = models.DateTimeField(db_default=Now())
    last_signed_at = models.DateTimeField()

    class Meta:
        constraints = [  # noqa: RUF012
            models.UniqueConstraint(fields=["secret", "fingerprint"], name="a_value_of_a_secret_once")
        ]

    def __str__(self) -> str:
        return f"{self.secret} {self.fingerprint}"


class ScheduledTask(models.Model):
    """The latest run of a task that beat sends. A beat claims the next run by changing ``runs`` from the number it read."""

    name = models.CharField(max_length=200, primary_key=True)
    slot = models.DateTimeField()
    runs = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return self.name


class RetentionProgressQuerySet(models.QuerySet["RetentionProgress"]):
    def lags(self, now: datetime) -> dict[str, timedelta]:
        """Return, for each table, the longest time for which expired rows may still exist."""
        return {row.table: max(now - row.complete_until, timedelta()) for row in self}

    def note(self, rows: list[RetentionProgress]) -> None:
        """Save how far these tables are; a row that another worker inserted meanwhile is updated."""
        told = ["complete_until", "started_at", "position", "deleted"]
        self.bulk_create(rows, update_conflicts=True, unique_fields=["table"], update_fields=told)


class RetentionProgress(models.Model):
    """How far retention is with a table. A pass along its primary key is under way while ``started_at`` is set."""

    table = models.CharField(max_length=64, primary_key=True)
    complete_until = models.DateTimeField()  # what was past its time by then has been deleted
    started_at = models.DateTimeField(null=True)
    position = models.JSONField(null=True)  # the last primary key that the pass has read
    deleted = models.PositiveBigIntegerField(default=0)  # rows, with those that went with them

    objects = RetentionProgressQuerySet.as_manager()

    def __str__(self) -> str:
        return self.table

    def end_pass(self) -> None:
        """Note that the pass under way has come to its end."""
        if self.started_at is not None:
            self.complete_until, self.started_at, self.position = self.started_at, None, None


class Counter(models.Model):
    """One window of a rate limit, counted in the database where there is no Redis."""

    key = models.CharField(max_length=250, primary_key=True)
    value = models.PositiveBigIntegerField()
    expires_at = models.DateTimeField(db_index=True)
