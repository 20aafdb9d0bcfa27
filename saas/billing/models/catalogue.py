"""What is for sale: our plans, and the provider's prices that stand for them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from saas.database.prepared_queries import PreparedQuery
from saas.money import Money


class PlanQuerySet(models.QuerySet["Plan"]):
    def on_sale(self) -> PlanQuerySet:
        """What a customer can buy today, cheapest first."""
        return self.filter(is_active=True).order_by("price_cents")


class Plan(models.Model):
    """One of our plans. ``limits`` maps ``teams``, ``seats`` and ``api_keys`` to a number, or to null for no limit."""

    id = models.CharField(max_length=32, primary_key=True)
    name = models.CharField(max_length=100)
    price_cents = models.PositiveIntegerField()  # a month
    currency = models.CharField(max_length=3, default="usd")
    features = models.JSONField(default=list)  # names such as "audit-log"
    limits = models.JSONField(default=dict)
    is_active = models.BooleanField(default=True)

    objects = PlanQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    @property
    def price(self) -> Money:
        """A month."""
        return Money(self.price_cents, self.currency)

    @property
    def price_monthly(self) -> int | float:
        """In whole units of the currency: 19, or 19.5."""
        return self.price.units


_ON_SALE = PreparedQuery(Plan.objects.on_sale)


def price_list() -> list[Plan]:
    """The plans on sale, by a prepared query: the page of prices is read most."""
    return _ON_SALE.fetch_all()


class Product(models.Model):
    """A product at the provider, named by a price's ``product_id``. Its plan is that of its prices; where none of them has
    one, that of its metadata."""

    provider = models.CharField(max_length=16)
    external_id = models.CharField(max_length=255, unique=True)
    name = models.CharField(max_length=255, blank=True)
    description = models.TextField(blank=True)
    is_active = models.BooleanField(default=True)
    named_plan_id = models.CharField(max_length=32, blank=True, db_default="")  # metadata.plan_id

    def __str__(self) -> str:
        return self.name or self.external_id


class PriceQuerySet(models.QuerySet["Price"]):
    def selling(self, plan: Plan, provider: str) -> PriceQuerySet:
        """The price that a new subscription to ``plan`` gets."""
        return self.filter(plan=plan, provider=provider, is_current=True, is_active=True)


class Price(models.Model):
    """A price at the provider. ``plan`` is ours to say: an earlier price keeps its plan for those who still pay it."""

    provider = models.CharField(max_length=16)
    external_id = models.CharField(max_length=255, unique=True)
    plan = models.ForeignKey(Plan, models.PROTECT, null=True, blank=True, related_name="prices")
    is_current = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    product_id = models.CharField(max_length=255, blank=True)
    unit_amount_cents = models.BigIntegerField(null=True)  # null: tiered or metered
    currency = models.CharField(max_length=8, blank=True)
    interval = models.CharField(max_length=16, blank=True)  # empty: paid once
    interval_count = models.PositiveIntegerField(default=1)

    objects = PriceQuerySet.as_manager()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["plan", "provider"],
                condition=models.Q(is_current=True),
                name="one_current_price_per_plan_and_provider",
            )
        ]

    def __str__(self) -> str:
        return self.external_id
