"""What happens to an invoice's money after it was paid: refunds, credit notes, disputes, and warnings of fraud."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.utils import timezone

from saas.billing.models.customers import Customer
from saas.billing.models.invoices import Invoice
from saas.fields import PrefixedIdField
from saas.money import Money


class InvoiceAdjustmentQuerySet(models.QuerySet["InvoiceAdjustment"]):
    def of_payment(self, payment_intent_id: str, charge_id: str) -> InvoiceAdjustmentQuerySet:
        """Of the payment that either id names."""
        named = {"payment_intent_id": payment_intent_id, "charge_id": charge_id}
        wanted = [models.Q(**{name: value}) for name, value in named.items() if value]
        return self.filter(wanted[0] if len(wanted) == 1 else wanted[0] | wanted[1]) if wanted else self.none()

    def open_disputes(self) -> InvoiceAdjustmentQuerySet:
        """Disputes and inquiries that are neither won nor lost."""
        return self.filter(kind=InvoiceAdjustment.Kind.DISPUTE, closed_at=None)

    def fraud_warnings(self, since: datetime) -> InvoiceAdjustmentQuerySet:
        """Early fraud warnings of payments that have not been refunded. A failed refund does not count."""
        refunded = InvoiceAdjustment.objects.filter(
            kind=InvoiceAdjustment.Kind.REFUND, charge_id=models.OuterRef("charge_id")
        ).exclude(status__in=InvoiceAdjustment.FAILED_REFUNDS)
        rows = self.filter(kind=InvoiceAdjustment.Kind.FRAUD_WARNING, opened_at__gte=since)
        return rows.filter(~models.Exists(refunded))


class InvoiceAdjustment(models.Model):
    """The projection of the events of a refund, credit note, dispute or early fraud warning."""

    class Kind(models.TextChoices):
        REFUND = "refund"
        CREDIT_NOTE = "credit_note"
        DISPUTE = "dispute"
        FRAUD_WARNING = "fraud_warning"

    FAILED_REFUNDS: ClassVar[set[str]] = {"failed", "canceled"}

    id = PrefixedIdField(prefix="adj", primary_key=True)
    external_id = models.CharField(max_length=255, unique=True)
    kind = models.CharField(max_length=16, choices=Kind)
    customer = models.ForeignKey(Customer, models.PROTECT, null=True, related_name="adjustments")
    invoice = models.ForeignKey(Invoice, models.PROTECT, null=True, related_name="adjustments")
    charge_id = models.CharField(max_length=255, blank=True, db_index=True)  # the provider's
    payment_intent_id = models.CharField(max_length=255, blank=True, db_index=True)
    status = models.CharField(max_length=64, blank=True)
    reason = models.CharField(max_length=255, blank=True)
    currency = models.CharField(max_length=8, blank=True)
    amount_cents = models.BigIntegerField(default=0)
    returned_cents = models.BigIntegerField(default=0)  # what of it has left us: counts against the invoice
    opened_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)
    event_id = models.CharField(max_length=255, blank=True)  # the provider's, of its last change

    objects = InvoiceAdjustmentQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.kind} {self.amount}"

    @property
    def amount(self) -> Money:
        return Money(self.amount_cents, self.currency)
