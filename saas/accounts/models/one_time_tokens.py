"""One-time tokens of mailed links, stored hashed, and requests for a password reset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

if TYPE_CHECKING:
    from datetime import datetime


class OneTimeTokenQuerySet(models.QuerySet["OneTimeToken"]):
    def usable(self, now: datetime) -> OneTimeTokenQuerySet:
        """Unused, not expired, of the account's current epoch: a new password or address and a ban end the earlier ones."""
        fits = Q(user__token_epoch=F("epoch"), user__status="active") | Q(epoch=None)
        return self.filter(fits, used_at=None, expires_at__gt=now).select_related("user")


class OneTimeToken(models.Model):
    """The token of a mailed link. Its use proves that the person reads the mailbox of ``email``.

    ``epoch`` is null for a token that survives a logout everywhere.
    """

    class Purpose(models.TextChoices):
        RESET = "reset"
        VERIFY = "verify"
        CHANGE = "change"  # of the address, to ``email``
        KEEP = "keep"  # undoes a deletion

    token_hash = models.CharField(max_length=64, unique=True)
    purpose = models.CharField(max_length=16, choices=Purpose)
    user = models.ForeignKey("accounts.User", models.CASCADE, related_name="one_time_tokens")
    email = models.CharField(max_length=254)
    epoch = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)

    objects = OneTimeTokenQuerySet.as_manager()

    class Meta:
        db_table = "accounts_proof"  # its first name


class ResetRequest(models.Model):
    """An address typed into "forgot password". A worker handles it, so the response time does not reveal an account."""

    email = models.CharField(max_length=254)
    created_at = models.DateTimeField(default=timezone.now)
    handled_at = models.DateTimeField(null=True)
    request_id = models.CharField(max_length=64, blank=True)
    address = models.CharField(max_length=45, blank=True)

    class Meta:
        indexes = [models.Index(fields=["created_at"], condition=Q(handled_at=None), name="reset_requests_open")]  # noqa: RUF012
