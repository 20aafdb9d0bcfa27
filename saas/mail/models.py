"""The mail queue. A mail is stored in the transaction of the action that sends it: none is lost, none is queued twice."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone


class MailQuerySet(models.QuerySet["Mail"]):
    def about(self, key: str) -> MailQuerySet:
        """Those whose ``dedupe_key`` begins with ``key``."""
        return self.filter(dedupe_key__startswith=key)

    def addressed_to(self, addresses: Collection[str]) -> MailQuerySet:
        """In any spelling: an invitation goes to an address as it was typed. Reads the whole table."""
        return self.alias(lower=Lower("recipient")).filter(lower__in={address.lower() for address in addresses})

    def due(self, now: datetime) -> MailQuerySet:
        return self.filter(status=Mail.Status.QUEUED, next_attempt_at__lte=now)


class Mail(models.Model):
    class Status(models.TextChoices):
        QUEUED = "queued"
        SENT = "sent"
        FAILED = "failed"

    template = models.CharField(max_length=64)
    recipient = models.CharField(max_length=254, db_index=True)
    locale = models.CharField(max_length=16, db_default="en")  # of the recipient
    context = models.JSONField(default=dict)
    sealed = models.JSONField(default=dict)  # further values, encrypted each; emptied when the mail is sent
    dedupe_key = models.CharField(max_length=200, unique=True)  # one fact, one mail
    request_id = models.CharField(max_length=64, db_default="")  # of the request or task that queued it
    status = models.CharField(max_length=16, choices=Status, default=Status.QUEUED)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    last_error = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)

    objects = MailQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "mails"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["next_attempt_at"], condition=models.Q(status="queued"), name="mails_due")
        ]

    def __str__(self) -> str:
        return f"{self.template} to {self.recipient}"
