"""The ledger: every change of every subscription, and by how much it moved the recurring revenue."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce

from saas.billing.models.customers import Customer
from saas.billing.models.subscriptions import Subscription
from saas.money import Money

MOVED_CENTS = Coalesce(F("moved_cents"), F("delta_cents"))  # rows of earlier releases were booked one by one


class LedgerEntryQuerySet(models.QuerySet["LedgerEntry"]):
    def between(self, start: datetime, end: datetime) -> LedgerEntryQuerySet:
        return self.filter(at__gte=start, at__lt=end)

    def linked(self) -> LedgerEntryQuerySet:
        """Of customers who are ours."""
        return self.filter(is_linked=True)

    def moving(self) -> LedgerEntryQuerySet:
        """Those that are booked as a movement of revenue, by ``MOVED_CENTS``."""
        return self.exclude(movement="")


class LedgerEntry(models.Model):
    """One change of one subscription: a projection of the stored events, rewritten with the subscription's row.

    The sum of a subscription's deltas is what it brings a month today. ``kind`` is what happened to the subscription,
    ``movement`` what that means for the revenue from its customer: of two subscriptions, one that ends is a contraction. Of
    changes within an hour the last one is booked, with the net of all in ``moved_cents``.
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
    movement = models.CharField(max_length=16, choices=Movement, blank=True)  # empty: none is booked here
    at = models.DateTimeField()  # by the provider's clock
    month = models.DateField()  # its first day, in UTC
    cohort = models.DateField(null=True)  # the month in which the customer first paid in this currency
    currency = models.CharField(max_length=8, blank=True)
    delta_cents = models.BigIntegerField()  # a month
    moved_cents = models.BigIntegerField(null=True)  # what is booked here, a month; see ``MOVED_CENTS``
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
                fields=["currency", "month", "movement", "cohort", "paid_before", "delta_cents", "moved_cents"],
                condition=Q(is_linked=True) & ~Q(movement=""),
                name="moved_by_month",
            ),
            models.Index(
                fields=["currency", "movement"],
                condition=Q(is_linked=True) & ~Q(movement=""),
                name="movements_by_kind",
            ),
            models.Index(
                fields=[
                    "currency",
                    "at",
                    "customer",
                    "customer_number",
                    "customer_cents",
                    "delta_cents",
                    "moved_cents",
                ],
                condition=Q(is_linked=True) & ~Q(movement=""),
                name="moved_by_time",
            ),
            models.Index(
                fields=["currency", "at", "kind", "movement", "delta_cents", "moved_cents"],
                condition=Q(is_linked=True),
                name="booked_by_time",
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
