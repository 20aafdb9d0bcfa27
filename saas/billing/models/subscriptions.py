"""Subscriptions: projections of the provider's events."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from saas.billing.models.catalogue import Plan, Price
from saas.billing.models.customers import CLOSED_STATUSES, Customer, Owner, owned_by
from saas.fields import PrefixedIdField
from saas.money import Money

PAST_DUE_GRACE = timedelta(days=7)
CANCELING = Q(cancel_at_period_end=True) | Q(cancel_at__isnull=False)
_ENDING_WITH_PERIOD = Q(cancel_at_period_end=True) | Q(cancel_at__lte=F("current_period_end"))

IS_PER_SEAT = Exists(
    Price.objects.filter(external_id=OuterRef("price_id"), is_per_unit=True)
)  # its quantity counts seats


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def for_owner(self, owner: Owner) -> SubscriptionQuerySet:
        return self.filter(owned_by(owner, "customer__"))

    def live(self) -> SubscriptionQuerySet:
        """Not over: a customer who has one cannot buy another. An unknown status counts as live, too."""
        return self.exclude(status__in=Subscription.TERMINAL)

    def renewing(self) -> SubscriptionQuerySet:
        """Live, and charged again after the current period."""
        return self.live().exclude(_ENDING_WITH_PERIOD)

    def renewing_of_closed_accounts(self) -> SubscriptionQuerySet:
        """Those of people who are banned or deleted, and cannot cancel what they are charged for. Without free ones."""
        charged = [*Subscription.GRANTING, Subscription.Status.PAST_DUE]
        closed = self.renewing().filter(status__in=charged, customer__user__status__in=CLOSED_STATUSES)
        return closed.exclude(monthly_cents=0, attention="")

    def earning(self) -> SubscriptionQuerySet:
        """Those that count as recurring revenue: a trial does not yet, an unpaid renewal still does."""
        return self.filter(IS_EARNING)

    def with_unknown_plan(self) -> SubscriptionQuerySet:
        """Live, with a price that is mapped to no plan."""
        return self.live().filter(Q(plan_is_known=False) | Q(plan=None))

    def unpaid(self) -> SubscriptionQuerySet:
        """Their renewal was not paid."""
        return self.filter(status__in=[Subscription.Status.PAST_DUE, Subscription.Status.UNPAID])

    def needing_attention(self) -> SubscriptionQuerySet:
        """Something of them cannot be read or counted, such as a tiered price or an unknown status."""
        return self.exclude(attention="")

    def linked(self) -> SubscriptionQuerySet:
        """Of customers who are ours."""
        return self.exclude(customer__user=None, customer__team=None)

    def with_customer(self) -> SubscriptionQuerySet:
        """With the owner and the plan, as lists show them."""
        return self.select_related("customer__user", "customer__team", "plan")

    def matching(self, *, status: str = "", plan: str = "") -> SubscriptionQuerySet:
        """By status and plan id; empty means any."""
        wanted = {"status": status, "plan_id": plan}
        return self.filter(**{name: value for name, value in wanted.items() if value})


class Subscription(models.Model):
    """The projection of a subscription's events (``sync.projections.subscriptions``); never edited by hand."""

    class Status(models.TextChoices):
        """The values known today; the column takes any, because the provider may add one."""

        INCOMPLETE = "incomplete"
        INCOMPLETE_EXPIRED = "incomplete_expired"
        TRIALING = "trialing"
        ACTIVE = "active"
        PAST_DUE = "past_due"
        UNPAID = "unpaid"
        PAUSED = "paused"
        CANCELED = "canceled"

    TERMINAL: ClassVar[list[str]] = [Status.CANCELED, Status.INCOMPLETE_EXPIRED]
    GRANTING: ClassVar[list[str]] = [Status.TRIALING, Status.ACTIVE]
    EARNING: ClassVar[list[str]] = [Status.ACTIVE, Status.PAST_DUE]

    id = PrefixedIdField(prefix="sub", primary_key=True)
    external_id = models.CharField(max_length=255, unique=True)
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="subscriptions")
    status = models.CharField(max_length=64)
    plan = models.ForeignKey(Plan, models.PROTECT, null=True, blank=True, related_name="subscriptions")
    plan_is_known = models.BooleanField(default=True, db_default=True)  # else ``plan`` is what it was before
    price_id = models.CharField(max_length=255, blank=True)  # of the plan's own item, as are the next two
    item_id = models.CharField(max_length=255, blank=True)  # empty: which of several items is the plan is unknown
    quantity = models.PositiveBigIntegerField(default=1)
    currency = models.CharField(max_length=8, blank=True)
    monthly_cents = models.BigIntegerField(default=0)  # what it costs a month, whatever its interval and status
    hides_amounts = models.BooleanField(default=False, db_default=False)  # the provider shows more where it is asked
    current_period_end = models.DateTimeField(null=True, blank=True)
    cancel_at_period_end = models.BooleanField(default=False)
    cancel_at = models.DateTimeField(null=True, blank=True)  # a day of its own; how the provider's portal cancels
    trial_end = models.DateTimeField(null=True, blank=True)
    # It pays before the customer's.
    default_payment_method = models.CharField(max_length=255, blank=True, default="", db_default="")
    keeps_revenue = models.BooleanField(default=False, db_default=False)  # on trial again while it was paid for
    past_due_since = models.DateTimeField(null=True, blank=True)
    canceled_at = models.DateTimeField(null=True, blank=True)  # when it was asked for, not when it ends
    ended_at = models.DateTimeField(null=True, blank=True)
    attention = models.CharField(max_length=500, blank=True, default="", db_default="")  # what of it cannot be counted
    attention_event_id = models.CharField(max_length=255, blank=True, default="", db_default="")  # which event says so
    ambiguous = models.BooleanField(default=False)  # the order of its events is a guess: ask the provider
    started_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now)  # the time of the last event

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["status", "id"], name="subscriptions_by_status"),
            models.Index(fields=["plan", "status"], name="subscriptions_by_plan"),
            models.Index(
                fields=["status", "currency", "cancel_at_period_end", "cancel_at", "keeps_revenue", "monthly_cents"],
                condition=Q(status__in=["active", "trialing", "past_due"]),
                name="subscriptions_by_income",
            ),
            models.Index(fields=["id"], condition=~Q(attention=""), name="subscriptions_to_look_at"),
        ]

    def __str__(self) -> str:
        return f"{self.plan_id or self.price_id} ({self.status})"

    @property
    def monthly(self) -> Money:
        return Money(self.monthly_cents, self.currency)

    def find_price(self) -> Price | None:
        """The price that it pays, where it is known."""
        return Price.objects.filter(external_id=self.price_id).exclude(external_id="").first()

    def terms_at_provider(self, price_id: str, quantity: int) -> dict[str, Any]:
        """A change to this price and quantity, as the gateway takes it."""
        terms = {"item_id": self.item_id, "price_id": price_id, "quantity": quantity}
        return {"subscription_id": self.external_id, **terms}

    @property
    def has_unknown_plan(self) -> bool:
        """The same rule as ``with_unknown_plan``."""
        return self.status not in self.TERMINAL and not (self.plan_is_known and self.plan_id)

    def grants_access(self, now: datetime) -> bool:
        """Whether it gives access: paid, on trial, or past due within the grace period, and no dispute ends it. Nothing else
        decides that."""
        is_paid_for = self.status in self.GRANTING or bool(self.grace_ends_at and self.grace_ends_at > now)
        return is_paid_for and not self.is_ended_by_dispute

    @property
    def is_ended_by_dispute(self) -> bool:
        """Whether a payment for it is disputed in the way that ``BILLING_DISPUTE_ENDS_ACCESS`` names. By default no query."""
        when = settings.BILLING_DISPUTE_ENDS_ACCESS
        if when == "never":
            return False
        disputes = self.customer.adjustments.filter(kind="dispute", invoice__subscription_id=self.external_id)
        ending = Q(status="lost") if when == "lost" else Q(status="lost") | Q(closed_at=None)
        return disputes.filter(ending).exists()

    @property
    def grace_ends_at(self) -> datetime | None:
        """Until when a subscription that is past due gives access."""
        is_past_due = self.status == self.Status.PAST_DUE
        return self.past_due_since + PAST_DUE_GRACE if is_past_due and self.past_due_since else None

    @property
    def is_canceling(self) -> bool:
        """Canceled, and not over yet: it can be resumed. The same rule as ``CANCELING``."""
        return self.status not in self.TERMINAL and (self.cancel_at_period_end or self.cancel_at is not None)

    @property
    def may_run_out(self) -> bool:
        """Whether it can be canceled at the end of its period. One whose period is not paid ends at once: otherwise the provider
        would go on charging after the cancellation."""
        return self.status in self.GRANTING

    @property
    def ends_at(self) -> datetime | None:
        """When it ends, if it was canceled and is not over yet."""
        if not self.is_canceling:
            return None
        return self.cancel_at or self.current_period_end

    @property
    def ends_with_period(self) -> bool:
        """It ends before it is charged again."""
        ends_at, period_end = self.ends_at, self.current_period_end
        return self.is_canceling and (
            self.cancel_at_period_end or bool(ends_at and period_end and ends_at <= period_end)
        )

    @property
    def access_ends_at(self) -> datetime | None:
        """When access ends if nothing else happens: with the grace, or with a period that is not renewed."""
        return min(filter(None, (self.grace_ends_at, self.ends_at)), default=None)


IS_EARNING = Q(status__in=Subscription.EARNING) | Q(status=Subscription.Status.TRIALING, keeps_revenue=True)
