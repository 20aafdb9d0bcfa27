"""Moving those who bought an earlier version of a price to another one, on a date, with notice."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from saas.billing.models.catalogue import Price
from saas.billing.models.subscriptions import Subscription
from saas.fields import PrefixedIdField


class PriceMoveQuerySet(models.QuerySet["PriceMove"]):
    def planned(self) -> PriceMoveQuerySet:
        """Neither carried out nor called off."""
        return self.filter(ended_at=None)

    def with_prices(self) -> PriceMoveQuerySet:
        return self.select_related("from_price", "to_price")

    def due(self, now: datetime) -> PriceMoveQuerySet:
        return self.planned().filter(effective_at__lte=now).order_by("pk")


class PriceMove(models.Model):
    """One decision of staff; its subscriptions are ``PriceMoveStep`` rows."""

    id = PrefixedIdField(prefix="pmv", primary_key=True)
    from_price = models.ForeignKey(Price, models.PROTECT, related_name="moves_away")
    to_price = models.ForeignKey(Price, models.PROTECT, related_name="moves_here")
    effective_at = models.DateTimeField()
    reason = models.CharField(max_length=500)
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    is_called_off = models.BooleanField(default=False)

    objects = PriceMoveQuerySet.as_manager()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["from_price"],
                condition=Q(ended_at=None),
                name="a_price_has_one_planned_move",
            )
        ]

    def __str__(self) -> str:
        return f"{self.from_price} to {self.to_price}"


class PriceMoveStepQuerySet(models.QuerySet["PriceMoveStep"]):
    def waiting(self) -> PriceMoveStepQuerySet:
        return self.filter(status=PriceMoveStep.Status.WAITING)

    def to_try(self, now: datetime) -> PriceMoveStepQuerySet:
        """With the subscriptions. Those that were refused wait for their next attempt, and come after the others."""
        rows = self.waiting().filter(Q(due_at=None) | Q(due_at__lte=now)).select_related("subscription__customer")
        return rows.order_by(F("due_at").asc(nulls_first=True), "pk")


class PriceMoveStep(models.Model):
    """One subscription of a move."""

    class Status(models.TextChoices):
        WAITING = "waiting"
        MOVED = "moved"
        LEFT_ALONE = "left_alone"  # over, or on another price by then

    move = models.ForeignKey(PriceMove, models.CASCADE, related_name="steps")
    subscription = models.ForeignKey(Subscription, models.CASCADE, related_name="price_moves")
    status = models.CharField(max_length=16, choices=Status, default=Status.WAITING)
    ended_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=255, blank=True)  # why the last attempt failed; it is made again
    due_at = models.DateTimeField(null=True, blank=True)  # not before this, after a failure

    objects = PriceMoveStepQuerySet.as_manager()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["move", "subscription"], name="a_move_has_a_subscription_once")
        ]

    def __str__(self) -> str:
        return f"{self.subscription_id} {self.status}"
