"""Invoices: projections of the provider's events."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from saas.billing.models.customers import Customer, Owner, owned_by
from saas.fields import PrefixedIdField
from saas.money import Money


class InvoiceQuerySet(models.QuerySet["Invoice"]):
    def for_owner(self, owner: Owner) -> InvoiceQuerySet:
        return self.filter(owned_by(owner, "customer__"))

    def issued(self) -> InvoiceQuerySet:
        """Those that a customer is shown: no drafts, none deleted."""
        return self.exclude(status__in=[Invoice.Status.DRAFT, Invoice.Status.DELETED])


class Invoice(models.Model):
    """The projection of an invoice's events."""

    class Status(models.TextChoices):
        DRAFT = "draft"
        OPEN = "open"
        UNCOLLECTIBLE = "uncollectible"
        VOID = "void"
        PAID = "paid"
        DELETED = "deleted"

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
    hosted_url = models.CharField(max_length=2048, blank=True)
    issued_at = models.DateTimeField(default=timezone.now)
    paid_at = models.DateTimeField(null=True, blank=True)

    objects = InvoiceQuerySet.as_manager()

    class Meta:
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["customer", "id"], name="invoices_of_customer")]

    @property
    def total(self) -> Money:
        return Money(self.total_cents, self.currency)

    @property
    def amount_due(self) -> Money:
        return Money(self.amount_due_cents, self.currency)

    @property
    def amount_paid(self) -> Money:
        return Money(self.amount_paid_cents, self.currency)

    def __str__(self) -> str:
        return self.number or self.external_id
