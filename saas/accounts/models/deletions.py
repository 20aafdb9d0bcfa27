"""Accounts that were deleted and wait for their erasure, or are erased."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.utils import timezone

if TYPE_CHECKING:
    from datetime import datetime


class DeletionQuerySet(models.QuerySet["Deletion"]):
    def pending(self) -> DeletionQuerySet:
        """Requested and not yet erased."""
        return self.filter(erased_at=None)

    def due(self, now: datetime) -> DeletionQuerySet:
        """Pending, and past the time to cancel it."""
        return self.pending().filter(due_at__lte=now)


class Deletion(models.Model):
    """The deletion of an account. Canceling it, possible until ``due_at``, deletes the row.

    The row and not ``User.status`` says that a deletion is pending: a banned account is ``disabled`` while it waits.
    """

    user = models.OneToOneField("accounts.User", models.CASCADE, primary_key=True, related_name="deletion")
    requested_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(db_index=True)
    erased_at = models.DateTimeField(null=True)

    objects = DeletionQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.user_id} on {self.due_at:%Y-%m-%d}"
