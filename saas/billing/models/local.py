"""The tables of the local (development) provider. Only ``saas.billing.providers.local`` and billing's clock read them."""

from __future__ import annotations

from django.db import models


class LocalObjectQuerySet(models.QuerySet["LocalObject"]):
    def of_kind(self, kind: str) -> LocalObjectQuerySet:
        return self.filter(kind=kind)

    def undelivered(self) -> LocalObjectQuerySet:
        """Events that wait for their delivery, in the order in which they were recorded."""
        return self.filter(kind="event").order_by("pk")


class LocalObject(models.Model):
    """A Stripe-shaped object. ``idempotency_key`` answers the same call with the same object."""

    id = models.CharField(max_length=64, primary_key=True)
    kind = models.CharField(max_length=32, db_index=True)  # Stripe's ``object``
    customer_id = models.CharField(max_length=64, blank=True, db_index=True)
    idempotency_key = models.CharField(max_length=255, null=True, unique=True)
    data = models.JSONField(default=dict)

    objects = LocalObjectQuerySet.as_manager()

    def __str__(self) -> str:
        return self.id


class LocalClock(models.Model):
    """How far the test clock is ahead of the system's clock. One row, with the id 1."""

    ahead_seconds = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.ahead_seconds} s ahead"
