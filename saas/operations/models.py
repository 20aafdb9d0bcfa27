"""What the running system notes about itself."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
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


class Counter(models.Model):
    """A rate limit's window, counted here where there is no Redis."""

    key = models.CharField(max_length=250, primary_key=True)
    value = models.PositiveBigIntegerField()
    expires_at = models.DateTimeField(db_index=True)
