"""The billing address and the tax id of a person or a team, as they stand on invoices."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from saas.accounts.models import User
from saas.billing.models.customers import HAS_ONE_OWNER, Customer, Owner, owned_by
from saas.fields import PrefixedIdField

ADDRESS_FIELDS = ("line1", "line2", "postal_code", "city", "state", "country")  # as the provider calls them


class BillingDetailsQuerySet(models.QuerySet["BillingDetails"]):
    def for_owner(self, owner: Owner) -> BillingDetailsQuerySet:
        return self.filter(owned_by(owner))

    def for_customer(self, customer: Customer) -> BillingDetailsQuerySet:
        """Those of the customer's owner; none where it has no owner."""
        if customer.user_id:
            return self.filter(user=customer.user_id)
        return self.filter(team=customer.team_id, team__isnull=False)


class BillingDetails(models.Model):
    """An owner who has never given any has no row, and what the provider has of them stays."""

    id = PrefixedIdField(prefix="bdt", primary_key=True)
    user = models.OneToOneField(User, models.CASCADE, null=True, blank=True, related_name="billing_details")
    team = models.OneToOneField("teams.Team", models.CASCADE, null=True, blank=True, related_name="billing_details")
    line1 = models.CharField(max_length=200, blank=True)
    line2 = models.CharField(max_length=200, blank=True)
    postal_code = models.CharField(max_length=20, blank=True)
    city = models.CharField(max_length=100, blank=True)
    state = models.CharField(max_length=100, blank=True)
    country = models.CharField(max_length=2, blank=True)  # ISO 3166
    tax_id_kind = models.CharField(max_length=16, blank=True)  # a name of ``invoices.tax_ids``
    tax_id = models.CharField(max_length=40, blank=True)
    # Whether one was ever given here: only then may an empty one delete what the provider has.
    had_address = models.BooleanField(default=False)
    had_tax_id = models.BooleanField(default=False)
    changed_at = models.DateTimeField(default=timezone.now)  # compared with ``Customer.told_details_at``

    objects = BillingDetailsQuerySet.as_manager()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=HAS_ONE_OWNER,
                name="billing_details_are_a_persons_or_a_teams",
            ),
            models.CheckConstraint(
                condition=Q(tax_id="", tax_id_kind="") | ~Q(tax_id="") & ~Q(tax_id_kind=""),
                name="a_tax_id_has_a_kind",
            ),
        ]

    def __str__(self) -> str:
        return self.pk

    @property
    def address(self) -> dict[str, str]:
        """The fields that are filled in."""
        return {name: value for name in ADDRESS_FIELDS if (value := getattr(self, name))}
