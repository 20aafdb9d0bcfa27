"""The company's name, billing address and tax id of a person or a team, as they stand on invoices."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Exists, OuterRef, Q, Subquery
from django.utils import timezone

from saas.accounts.models import User
from saas.billing.models.customers import HAS_ONE_OWNER, Customer, Owner, owned_by
from saas.billing.models.tax_ids import TaxId
from saas.fields import PrefixedIdField

LONGEST_NAME, LONGEST_TAX_ID = 200, 40
# As the provider calls them, with how long each may be.
ADDRESS_FIELDS = {"line1": 200, "line2": 200, "postal_code": 20, "city": 100, "state": 100, "country": 2}


class BillingDetailsQuerySet(models.QuerySet["BillingDetails"]):
    def for_owner(self, owner: Owner) -> BillingDetailsQuerySet:
        return self.filter(owned_by(owner))

    def for_customer(self, customer: Customer) -> BillingDetailsQuerySet:
        """Those of the customer's owner; none where it has no owner."""
        if customer.user_id:
            return self.filter(user=customer.user_id)
        return self.filter(team=customer.team_id, team__isnull=False)

    def with_tax_id_status(self) -> BillingDetailsQuerySet:
        """With what the provider says of the tax id, ``None`` where it does not have it; and whether it has others."""
        theirs = Q(customer__user=OuterRef("user")) | Q(customer__team=OuterRef("team"))
        is_this = Q(kind=OuterRef("tax_id_kind"), value=OuterRef("tax_id"))
        there = TaxId.objects.live().filter(theirs)
        return self.annotate(
            tax_id_status=Subquery(there.filter(is_this).order_by("-created_at").values("status")[:1]),
            has_other_tax_ids=Exists(there.exclude(is_this)),
        )


class BillingDetails(models.Model):
    """An owner who has never given any has no row, and what the provider has of them stays."""

    id = PrefixedIdField(prefix="bdt", primary_key=True)
    user = models.OneToOneField(User, models.CASCADE, null=True, blank=True, related_name="billing_details")
    team = models.OneToOneField("teams.Team", models.CASCADE, null=True, blank=True, related_name="billing_details")
    # Without one the person is billed, by their name.
    company_name = models.CharField(max_length=LONGEST_NAME, blank=True, default="", db_default="")
    line1 = models.CharField(max_length=ADDRESS_FIELDS["line1"], blank=True)
    line2 = models.CharField(max_length=ADDRESS_FIELDS["line2"], blank=True)
    postal_code = models.CharField(max_length=ADDRESS_FIELDS["postal_code"], blank=True)
    city = models.CharField(max_length=ADDRESS_FIELDS["city"], blank=True)
    state = models.CharField(max_length=ADDRESS_FIELDS["state"], blank=True)
    country = models.CharField(max_length=ADDRESS_FIELDS["country"], blank=True)  # ISO 3166
    tax_id_kind = models.CharField(max_length=16, blank=True)  # a name of ``invoices.tax_ids``
    tax_id = models.CharField(max_length=LONGEST_TAX_ID, blank=True)
    tax_id_refusal = models.CharField(
        max_length=500, blank=True, default="", db_default=""
    )  # why the provider does not take it
    # Whether it was given here, and not on the provider's pages: only then may an empty one delete what the provider has.
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
