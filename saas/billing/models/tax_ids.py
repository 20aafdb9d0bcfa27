"""Tax ids at the provider."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from saas.billing.models.customers import Customer, Owner, owned_by
from saas.fields import PrefixedIdField


class TaxIdQuerySet(models.QuerySet["TaxId"]):
    def live(self) -> TaxIdQuerySet:
        """Those that stand on invoices. With a customer its tax ids are gone, without an event for each."""
        return self.filter(deleted_at=None, customer__deleted_at=None, customer__replaced_at=None)

    def for_owner(self, owner: Owner) -> TaxIdQuerySet:
        return self.filter(owned_by(owner, "customer__"))


class TaxId(models.Model):
    """The projection of a tax id's events: what the provider has, and whether the office that gave it knows it.

    A customer may have several there, and all stand on invoices. ``BillingDetails`` has the one that was given or changed last.
    """

    class Status(models.TextChoices):
        """The values known today; the column takes any, because the provider may add one."""

        PENDING = "pending"
        VERIFIED = "verified"
        UNVERIFIED = "unverified"
        UNAVAILABLE = "unavailable"  # no office checks numbers of this kind

    id = PrefixedIdField(prefix="tid", primary_key=True)
    external_id = models.CharField(max_length=255, unique=True)
    customer = models.ForeignKey(Customer, models.CASCADE, null=True, related_name="tax_ids")
    kind = models.CharField(max_length=64, blank=True)
    value = models.CharField(max_length=255, blank=True)
    status = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = TaxIdQuerySet.as_manager()

    def __str__(self) -> str:
        return self.value
