"""The ledger: every change of every subscription, and by how much it moved the recurring revenue."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Q

from saas.billing.models.customers import Customer
from saas.billing.models.subscriptions import Subscription
from saas.money import Money


class LedgerEntryQuerySet(models.QuerySet["LedgerEntry"]):
    def between(self, start: datetime, end: datetime) -> LedgerEntryQuerySet:
        return self.filter(at__gte=start, at__lt=end)

    def linked(self) -> LedgerEntryQuerySet:
        """Of customers who are ours."""
        return self.filter(is_linked=True)

    def moving(self) -> LedgerEntryQuerySet:
        """Those that changed the revenue."""
        return self.exclude(movement="")


class LedgerEntry(models.Model):
    """One change of one subscription: a projection of the stored events, rewritten with the subscription's row.

    The sum of a subscription's deltas is what it brings a month today. ``kind`` is what happened to the subscription,
    ``movement`` what that means for the revenue from its customer: of two subscriptions, one that ends is a contraction.
    """

    class Kind(models.TextChoices):
        TRIAL_STARTED = "trial_started"
        TRIAL_ENDED = "trial_ended"  # without a payment; a trial that is paid for ends with "new"
        NEW = "new"
        UPGRADE = "upgrade"
        DOWNGRADE = "downgrade"
        RENEWAL = "renewal"  # another period began
        PAST_DUE = "past_due"
        RECOVERED = "recovered"
        CANCELED = "canceled"  # it brings nothing any more: canceled, unpaid or paused
        REACTIVATED = "reactivated"  # it does again, perhaps by another subscription

    class Movement(models.TextChoices):
        NEW = "new"
        EXPANSION = "expansion"
        CONTRACTION = "contraction"
        CHURN = "churn"
        REACTIVATION = "reactivation"

    subscription = models.ForeignKey(Subscription, models.CASCADE, related_name="ledger")
    number = models.PositiveIntegerField()  # its place in the subscription's history
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="ledger")
    is_linked = models.BooleanField(default=False)  # the customer is ours
    kind = models.CharField(max_length=16, choices=Kind)
    movement = models.CharField(max_length=16, choices=Movement, blank=True)  # empty: no revenue moved
    at = models.DateTimeField()  # by the provider's clock
    month = models.DateField()  # its first day, in UTC
    cohort = models.DateField(null=True)  # the month in which the customer first paid in this currency
    currency = models.CharField(max_length=8, blank=True)
    delta_cents = models.BigIntegerField()  # a month
    monthly_cents = models.BigIntegerField()  # what the subscription brings a month, afterwards
    customer_cents = models.BigIntegerField()  # what its customer does in this currency
    customer_number = models.PositiveIntegerField(default=0)  # its place in the customer's history in this currency
    paid_before = models.BooleanField(default=False)  # the customer paid something when the month began
    event_id = models.CharField(max_length=255)  # the provider's event that caused it

    objects = LedgerEntryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "ledger entries"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["subscription", "number"], name="a_movement_has_its_own_place"),
            models.UniqueConstraint(
                fields=["subscription", "event_id", "kind"], name="an_event_tells_one_change_of_a_kind"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["currency", "month", "movement", "cohort", "paid_before", "delta_cents"],
                condition=Q(is_linked=True) & ~Q(movement=""),
                name="movements_by_month",
            ),
            models.Index(
                fields=["currency", "movement"],
                condition=Q(is_linked=True) & ~Q(movement=""),
                name="movements_by_kind",
            ),
            models.Index(
                fields=["currency", "at", "customer", "customer_number", "customer_cents", "delta_cents"],
                condition=Q(is_linked=True) & ~Q(movement=""),
                name="movements_by_time",
            ),
            models.Index(
                fields=["currency", "at", "kind", "movement", "delta_cents"],
                condition=Q(is_linked=True),
                name="changes_by_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.delta_cents}"

    @property
    def delta(self) -> Money:
        return Money(self.delta_cents, self.currency)

    @property
    def monthly(self) -> Money:
        return Money(self.monthly_cents, self.currency)
