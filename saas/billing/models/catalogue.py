"""What is for sale: our plans, and the provider's prices that stand for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from saas.database.prepared_queries import PreparedQuery, QueryParameter
from saas.money import Money, is_known_currency

LARGEST_AMOUNT = 99_999_999  # minor units; Stripe takes no more in one charge
LARGEST_QUANTITY = 100_000


class PlanQuerySet(models.QuerySet["Plan"]):
    def in_order(self) -> PlanQuerySet:
        """As price lists show them: by position, then by price."""
        return self.order_by("position", F("price_cents").asc(nulls_last=True), "id")

    def on_sale(self) -> PlanQuerySet:
        """What a customer can buy today, whether or not the price list shows it."""
        return self.filter(is_active=True).in_order()

    def listed(self) -> PlanQuerySet:
        """What the price list shows."""
        return self.on_sale().filter(is_visible=True)


class Plan(models.Model):
    """One of our plans. ``limits`` maps declared limits (``catalogue.limits_and_features``) to a number, or to null for no limit.

    Its prices are rows of ``Price``. ``price_cents`` repeats the current one by the month in ``currency``, so that lists need no
    other table; ``catalogue.prices`` writes both.
    """

    id = models.CharField(max_length=32, primary_key=True)
    name = models.CharField(max_length=100)
    description = models.CharField(max_length=500, blank=True, db_default="", default="")
    price_cents = models.PositiveIntegerField(null=True, blank=True)  # null: not sold by the month in ``currency``
    currency = models.CharField(max_length=3, default="usd")
    features = models.JSONField(default=list)  # keys such as "priority-support"
    limits = models.JSONField(default=dict)
    is_active = models.BooleanField(default=True)  # false: archived; who bought it keeps it
    is_visible = models.BooleanField(default=True, db_default=True)  # false: sold, and in no list
    position = models.IntegerField(default=0, db_default=0)
    trial_days = models.PositiveIntegerField(null=True, blank=True)  # null: as BILLING_TRIAL_DAYS says
    trial_needs_card = models.BooleanField(default=True, db_default=True)

    objects = PlanQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    @property
    def price(self) -> Money | None:
        """The monthly price in the plan's ``currency``; ``None`` where it has none."""
        return None if self.price_cents is None else Money(self.price_cents, self.currency)

    @property
    def price_monthly(self) -> int | float | None:
        """In whole units of the currency: 19, or 19.5."""
        return self.price.units if self.price else None


_LISTED = PreparedQuery(Plan.objects.listed)


def price_list() -> list[Plan]:
    """The plans that the price list shows, by a prepared query: it is read most."""
    return _LISTED.fetch_all()


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


class Interval(models.TextChoices):
    """How often a price of our catalogue is charged."""

    MONTH = "month"
    YEAR = "year"


IS_SOLD = Q(is_current=True, is_active=True, interval_count=1, interval__in=["", *Interval.values])


class PriceQuerySet(models.QuerySet["Price"]):
    def current(self, provider: str) -> PriceQuerySet:
        """The prices of new subscriptions. One by the quarter or the week, which the provider may have, is not sold as one by
        the month."""
        return self.filter(IS_SOLD, provider=provider, plan__isnull=False)

    def selling(self, plan: Plan, provider: str) -> PriceQuerySet:
        """The prices that a new subscription to ``plan`` can get, the newest version first."""
        return self.current(provider).filter(plan=plan).order_by("-version", "-pk")

    def listed(self, provider: str | QueryParameter) -> PriceQuerySet:
        """What the price list shows."""
        shown = self.filter(IS_SOLD, provider=provider, unit_amount_cents__isnull=False)
        return shown.filter(plan__is_active=True, plan__is_visible=True).order_by("currency", "interval", "-version")


class Price(models.Model):
    """A version of a price. ``plan`` is ours to say: an earlier version keeps its plan for those who still pay it.

    One whose ``external_id`` is null is not known to the provider yet. Amount, currency and interval are the provider's to
    correct; empty, they are those of the plan's price by the month.
    """

    provider = models.CharField(max_length=16)
    external_id = models.CharField(max_length=255, unique=True, null=True, blank=True)
    plan = models.ForeignKey(Plan, models.PROTECT, null=True, blank=True, related_name="prices")
    is_current = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    product_id = models.CharField(max_length=255, blank=True)
    unit_amount_cents = models.BigIntegerField(null=True)  # null: tiered or metered
    currency = models.CharField(max_length=8, blank=True)
    interval = models.CharField(max_length=16, blank=True)  # empty: paid once
    interval_count = models.PositiveIntegerField(default=1)
    is_per_unit = models.BooleanField(default=False, db_default=False)  # the quantity is the number of seats
    included_quantity = models.PositiveIntegerField(default=1, db_default=1)  # the fewest units that are charged
    version = models.PositiveIntegerField(default=1, db_default=1)
    created_at = models.DateTimeField(default=timezone.now, null=True, blank=True)
    replaced_at = models.DateTimeField(null=True, blank=True)  # since when new subscriptions get another

    objects = PriceQuerySet.as_manager()

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["plan", "provider", "currency", "interval"],
                condition=Q(is_current=True),
                name="prices_that_sell",
            )
        ]

    def __str__(self) -> str:
        return self.external_id or f"{self.plan_id} {self.currency} {self.interval} {self.version}"

    @property
    def amount(self) -> Money | None:
        """Of one unit, for one interval. ``None`` for a tiered or metered price."""
        return None if self.unit_amount_cents is None else Money(self.unit_amount_cents, self.currency)

    @property
    def charged_every(self) -> str:
        """Its interval; the month where only its id is known."""
        return self.interval or Interval.MONTH

    @property
    def period(self) -> tuple[str, int]:
        """How often it is charged: ``("month", 3)`` is every quarter."""
        return self.charged_every, self.interval_count

    @property
    def offered_interval(self) -> str:
        """``month`` or ``year``, as customers choose it; empty for any other period, such as a quarter."""
        return self.charged_every if self.interval_count == 1 and self.charged_every in Interval.values else ""

    def begins_a_period_after(self, before: Price) -> bool:
        """Whether a subscription that changes from ``before`` to this begins a new period, which is charged at once: with another
        interval, and where it has cost nothing."""
        is_first_paid = before.unit_amount_cents == 0 != self.unit_amount_cents
        return is_first_paid or before.period != self.period

    def quantity_for(self, seats: int) -> int:
        """How many units a customer with so many seats is charged."""
        return max(seats, self.included_quantity) if self.is_per_unit else 1


_LISTED_PRICES = PreparedQuery(lambda: Price.objects.listed(QueryParameter("provider")))


def listed_prices(provider: str) -> list[Price]:
    """The prices of the price list, by a prepared query."""
    return _LISTED_PRICES.fetch_all(provider=provider)


@dataclass(frozen=True)
class PriceTerms:
    """What a price costs: ``unit_amount_cents`` for each ``interval``, of the whole or of each unit (a seat)."""

    currency: str
    interval: str
    unit_amount_cents: int
    is_per_unit: bool = False
    included_quantity: int = 1

    @classmethod
    def of(cls, row: Price) -> PriceTerms:
        """Of a price with an amount. Raises ``ValueError`` for one without."""
        if row.unit_amount_cents is None:
            raise ValueError(f"{row} is tiered or metered")
        currency = row.currency or (row.plan.currency if row.plan else "")
        return cls(currency, row.charged_every, row.unit_amount_cents, row.is_per_unit, row.included_quantity)

    @property
    def key(self) -> tuple[str, str]:
        """A plan has one current price for each."""
        return self.currency, self.interval

    def check(self) -> dict[str, list[str]]:
        """What is wrong, by field."""
        wrong = {
            "currency": "" if is_known_currency(self.currency) else "Give a currency's code of ISO 4217, such as eur.",
            "interval": "" if self.interval in Interval.values else f"Choose one of {', '.join(Interval.values)}.",
            "unit_amount_cents": ""
            if 0 <= self.unit_amount_cents <= LARGEST_AMOUNT
            else f"Choose an amount from 0 to {LARGEST_AMOUNT} of the smallest unit.",
            "included_quantity": ""
            if 1 <= self.included_quantity <= LARGEST_QUANTITY
            else f"Choose a number from 1 to {LARGEST_QUANTITY}.",
        }
        if self.included_quantity != 1 and not self.is_per_unit:
            wrong["included_quantity"] = "Only a price per unit includes a number of units."
        return {field: [sentence] for field, sentence in wrong.items() if sentence}
