"""Promotion codes: discounts that customers enter at the checkout, or that staff give."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from saas.fields import PrefixedIdField
from saas.money import Money


def in_capitals(code: str) -> str:
    """As codes are kept."""
    return code.strip().upper()


class PromotionCodeQuerySet(models.QuerySet["PromotionCode"]):
    def by_code(self, code: str) -> PromotionCodeQuerySet:
        """In either case, as codes are typed."""
        return self.filter(code=in_capitals(code))

    def redeemable(self, now: datetime) -> PromotionCodeQuerySet:
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now), is_active=True)


class PromotionCode(models.Model):
    """Takes a percentage or an amount off. ``code`` is in capitals."""

    class Duration(models.TextChoices):
        ONCE = "once"  # off the first invoice
        REPEATING = "repeating"  # for ``duration_months``
        FOREVER = "forever"

    id = PrefixedIdField(prefix="promo", primary_key=True)
    code = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=100, blank=True)
    percent_off = models.DecimalField(max_digits=5, decimal_places=2, null=True, blank=True)
    amount_off_cents = models.PositiveBigIntegerField(null=True, blank=True)
    currency = models.CharField(max_length=8, blank=True)  # of the amount
    duration = models.CharField(max_length=16, choices=Duration)
    duration_months = models.PositiveIntegerField(null=True, blank=True)
    max_redemptions = models.PositiveIntegerField(null=True, blank=True)  # by paid checkouts
    expires_at = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField(default=True)
    external_id = models.CharField(
        max_length=255, blank=True
    )  # the provider's promotion code; empty until it is created
    external_coupon_id = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = PromotionCodeQuerySet.as_manager()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(percent_off__isnull=False, amount_off_cents=None, currency="")
                | (Q(percent_off=None, amount_off_cents__isnull=False) & ~Q(currency="")),
                name="a_promotion_takes_off_a_percentage_or_an_amount",
            ),
        ]

    def __str__(self) -> str:
        return self.code

    @property
    def off(self) -> str:
        """Such as ``20 %`` or ``5.00 EUR``."""
        if self.percent_off is not None:
            return f"{self.percent_off.normalize():f} %"
        return Money(self.amount_off_cents or 0, self.currency).text()

    @property
    def span(self) -> str:
        """Off which invoices, such as ``each invoice for 3 months``."""
        if self.duration == self.Duration.REPEATING:
            return f"each invoice for {self.duration_months} month{'' if self.duration_months == 1 else 's'}"
        return "one invoice" if self.duration == self.Duration.ONCE else "each invoice from now on"
