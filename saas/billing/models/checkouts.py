"""Checkouts: committed before the provider is called."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from saas.accounts.models import User
from saas.billing.models.catalogue import Plan, Price
from saas.billing.models.customers import Customer
from saas.fields import PrefixedIdField


class CheckoutQuerySet(models.QuerySet["Checkout"]):
    def started_by(self, user: User) -> CheckoutQuerySet:
        return self.filter(started_by=user).select_related("plan", "customer", "price")


class Checkout(models.Model):
    """One attempt to buy a plan. The provider gets our id as reference and as idempotency key."""

    class Status(models.TextChoices):
        PENDING = "pending"  # waits for the customer or for the money
        ACTIVE = "active"  # paid: the subscription is there
        EXPIRED = "expired"  # abandoned, or replaced by another
        FAILED = "failed"  # the payment failed

    id = PrefixedIdField(prefix="chk", primary_key=True)
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="checkouts")
    started_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    plan = models.ForeignKey(Plan, models.PROTECT, related_name="+")
    price = models.ForeignKey(Price, models.PROTECT, null=True, related_name="+")  # null: before it was chosen here
    quantity = models.PositiveIntegerField(default=1, db_default=1)
    promotion_code = models.CharField(max_length=64, blank=True, default="", db_default="")  # in capitals
    status = models.CharField(max_length=16, choices=Status, default=Status.PENDING)
    idempotency_key = models.CharField(max_length=255, blank=True)  # the caller's
    opening_attempt = models.PositiveIntegerField(default=0, db_default=0)  # a part of the idempotency key
    external_id = models.CharField(max_length=255, blank=True)  # the provider's session
    subscription_id = models.CharField(max_length=255, blank=True)  # the provider's id
    url = models.CharField(max_length=2048, blank=True)
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = CheckoutQuerySet.as_manager()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["customer"], condition=Q(status="pending"), name="one_open_checkout_per_customer"
            ),
            models.UniqueConstraint(
                fields=["started_by", "idempotency_key"],
                condition=~Q(idempotency_key=""),
                name="one_checkout_per_idempotency_key",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["external_id"], name="checkouts_by_session")]

    def __str__(self) -> str:
        return f"{self.plan_id} ({self.status})"
