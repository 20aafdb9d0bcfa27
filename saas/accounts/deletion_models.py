"""Accounts that are being given up. (Apart from ``models``, which is long enough.)"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.utils import timezone

if TYPE_CHECKING:
    from datetime import datetime


class DeletionQuerySet(models.QuerySet["Deletion"]):
    def due(self, now: datetime) -> DeletionQuerySet:
        """The time to undo it has passed, and nothing has been erased yet."""
        return self.filter(erased_at=None, due_at__lte=now)


class Deletion(models.Model):
    """Somebody gave up her account. Until ``due_at`` she can take that back, and the row goes."""

    user = models.OneToOneField("accounts.User", models.CASCADE, primary_key=True, related_name="deletion")
    requested_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(db_index=True)
    erased_at = models.DateTimeField(null=True)

    objects = DeletionQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.user_id} on {self.due_at:%Y-%m-%d}"
