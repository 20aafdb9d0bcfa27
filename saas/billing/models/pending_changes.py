"""A change of plan that a customer has asked for at the end of their period."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.utils import timezone

from saas.billing.models.catalogue import Price
from saas.billing.models.subscriptions import Subscription
from saas.fields import PrefixedIdField

LEAD = timedelta(minutes=10)  # before the period ends: the renewal has to find the new price


class PendingChangeQuerySet(models.QuerySet["PendingChange"]):
    def due(self, now: datetime) -> PendingChangeQuerySet:
        """Those that were refused after the others."""
        return self.filter(at__lte=now + LEAD).order_by("error", "pk")

    def overtaken_by(self, row: Subscription, price: Price) -> PendingChangeQuerySet:
        """Those that a change to ``price`` now takes back; other seats of the same price leave another plan planned."""
        planned = self.filter(subscription=row)
        return planned.filter(price=price) if price.external_id == row.price_id else planned


class PendingChange(models.Model):
    """It is deleted when it is made, called off, or replaced; the audit trail keeps what happened."""

    id = PrefixedIdField(prefix="chg", primary_key=True)
    subscription = models.OneToOneField(Subscription, models.CASCADE, related_name="pending_change")
    price = models.ForeignKey(Price, models.PROTECT, related_name="pending_changes")
    # What it paid when the change was planned.
    price_before = models.ForeignKey(Price, models.SET_NULL, null=True, blank=True, related_name="+")
    quantity = models.PositiveBigIntegerField(default=1)
    at = models.DateTimeField(db_index=True)  # the end of the period in which it was asked for
    created_at = models.DateTimeField(default=timezone.now)
    error = models.CharField(max_length=255, blank=True)  # why the last attempt failed; it is made again

    objects = PendingChangeQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.price} at {self.at:%Y-%m-%d}"
