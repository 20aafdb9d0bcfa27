"""Invoices: projections of the provider's events."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from saas.billing.models.customers import Customer, Owner, owned_by
from saas.billing.models.subscriptions import Subscription
from saas.fields import PrefixedIdField
from saas.money import Money


class InvoiceQuerySet(models.QuerySet["Invoice"]):
    def for_owner(self, owner: Owner) -> InvoiceQuerySet:
        return self.filter(owned_by(owner, "customer__"))

    def issued(self) -> InvoiceQuerySet:
        """Those that a customer is shown: no drafts, none deleted, none whose amounts cannot be read."""
        shown = self.exclude(status__in=[Invoice.Status.DRAFT, Invoice.Status.DELETED])
        return shown.filter(amounts_are_known=True)

    def needing_attention(self) -> InvoiceQuerySet:
        """Something of them cannot be read."""
        return self.exclude(attention="")

    def to_pay(self) -> InvoiceQuerySet:
        """Those that their customer can pay on the provider's page, the oldest first."""
        open = self.filter(status=Invoice.Status.OPEN, amount_due_cents__gt=0)
        return open.exclude(hosted_url="").order_by("issued_at")

    def of_subscription(self, row: Subscription) -> InvoiceQuerySet:
        return self.filter(subscription_id=row.external_id)

    def paid_without_subscription(self) -> InvoiceQuerySet:
        """Paid, for a subscription of which no row is here."""
        known = Subscription.objects.filter(external_id=OuterRef("subscription_id"))
        paid = self.filter(status=Invoice.Status.PAID, amount_paid_cents__gt=0).exclude(subscription_id="")
        return paid.filter(~Exists(known))


class Invoice(models.Model):
    """The projection of an invoice's events."""

    class Status(models.TextChoices):
        DRAFT = "draft"
        OPEN = "open"
        UNCOLLECTIBLE = "uncollectible"
        VOID = "void"
        PAID = "paid"
        DELETED = "deleted"

    # Its own events have not come: only its payment or a credit note is known.
    IS_STUB: ClassVar[Q] = Q(status=Status.DRAFT, amounts_are_known=False, attention="")

    id = PrefixedIdField(prefix="inv", primary_key=True)
    external_id = models.CharField(max_length=255, unique=True)
    customer = models.ForeignKey(Customer, models.PROTECT, null=True, related_name="invoices")
    subscription_id = models.CharField(max_length=255, blank=True, db_index=True)  # the provider's id
    number = models.CharField(max_length=255, blank=True)
    status = models.CharField(max_length=64)
    currency = models.CharField(max_length=8, blank=True)
    total_cents = models.BigIntegerField(default=0)
    amount_due_cents = models.BigIntegerField(default=0)
    amount_paid_cents = models.BigIntegerField(default=0)
    returned_cents = models.BigIntegerField(default=0, db_default=0)  # refunded, credited, or lost in a dispute
    refund_attempt = models.PositiveIntegerField(default=0, db_default=0)  # a part of the idempotency key
    # When the last call for a refund brought no answer of use.
    refund_failed_at = models.DateTimeField(null=True, blank=True)
    payment_intent_id = models.CharField(max_length=255, blank=True, default="", db_default="", db_index=True)
    charge_id = models.CharField(max_length=255, blank=True, default="", db_default="", db_index=True)
    amounts_are_known = models.BooleanField(default=True, db_default=True)  # else they are no numbers at the provider
    attention = models.CharField(max_length=500, blank=True, default="", db_default="")  # what of it cannot be read
    attention_event_id = models.CharField(max_length=255, blank=True, default="", db_default="")  # which event says so
    hosted_url = models.CharField(max_length=2048, blank=True)
    needs_action = models.BooleanField(default=False, db_default=False)  # the bank asks the payer to confirm
    issued_at = models.DateTimeField(default=timezone.now)
    paid_at = models.DateTimeField(null=True, blank=True)

    objects = InvoiceQuerySet.as_manager()

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["customer", "id"], name="invoices_of_customer"),
            models.Index(fields=["id"], condition=~Q(attention=""), name="invoices_to_look_at"),
        ]

    @property
    def total(self) -> Money:
        return Money(self.total_cents, self.currency)

    @property
    def amount_due(self) -> Money:
        return Money(self.amount_due_cents, self.currency)

    @property
    def amount_remaining(self) -> Money:
        """What of ``amount_due`` is still to be paid: an invoice may be paid in parts."""
        return Money(max(self.amount_due_cents - self.amount_paid_cents, 0), self.currency)

    @property
    def amount_paid(self) -> Money:
        return Money(self.amount_paid_cents, self.currency)

    @property
    def returned(self) -> Money:
        """Refunded, credited, or lost in a dispute."""
        return Money(self.returned_cents, self.currency)

    @property
    def net_paid(self) -> Money:
        """What was paid, less what has left us again."""
        return Money(self.amount_paid_cents - self.returned_cents, self.currency)

    def __str__(self) -> str:
        return self.number or self.external_id
