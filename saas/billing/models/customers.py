"""Customers and their payment methods."""

from __future__ import annotations

from typing import ClassVar, Protocol

from django.db import models
from django.db.models import Q
from django.utils import timezone

from saas.accounts.models import User
from saas.fields import PrefixedIdField


class Workspace(Protocol):
    """A team, as far as billing needs to know one: teams are above this layer."""

    @property
    def pk(self) -> str: ...

    @property
    def owner_id(self) -> str: ...


Owner = User | Workspace


def owned_by(owner: Owner, path: str = "") -> Q:
    """Owned by exactly this user or team; ``path`` leads to the customer, such as ``customer__``."""
    return Q(**{f"{path}user" if isinstance(owner, User) else f"{path}team_id": owner.pk})


class CustomerQuerySet(models.QuerySet["Customer"]):
    def for_owner(self, owner: Owner) -> CustomerQuerySet:
        return self.filter(owned_by(owner))


class Customer(models.Model):
    """A customer at a provider. One without an owner is a stub: an event named it, and it gives no access."""

    class Provider(models.TextChoices):
        STRIPE = "stripe"
        LOCAL = "local"

    id = PrefixedIdField(prefix="cst", primary_key=True)
    user = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="billing_customers")
    team = models.ForeignKey("teams.Team", models.SET_NULL, null=True, blank=True, related_name="billing_customers")
    provider = models.CharField(max_length=16, choices=Provider)
    external_id = models.CharField(max_length=255, blank=True)  # empty until the provider has answered
    email = models.CharField(max_length=512, blank=True)
    delinquent = models.BooleanField(default=False)
    default_payment_method = models.CharField(max_length=255, blank=True)  # the provider's id
    deleted_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["external_id"], condition=~Q(external_id=""), name="a_providers_customer_is_stored_once"
            ),
            models.UniqueConstraint(
                fields=["user", "provider"], condition=Q(user__isnull=False), name="one_customer_per_user_and_provider"
            ),
            models.UniqueConstraint(
                fields=["team", "provider"], condition=Q(team__isnull=False), name="one_customer_per_team_and_provider"
            ),
            models.CheckConstraint(
                condition=Q(user=None) | Q(team=None), name="a_customer_is_a_person_or_a_team_not_both"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["id"], condition=Q(user=None, team=None), name="customers_who_are_stubs")
        ]

    def __str__(self) -> str:
        return self.email or self.external_id or self.id

    @property
    def is_linked(self) -> bool:
        """A customer of ours, not one that only the provider knows."""
        return self.user_id is not None or self.team_id is not None


class PaymentMethodQuerySet(models.QuerySet["PaymentMethod"]):
    def usable(self) -> PaymentMethodQuerySet:
        """Still attached to its customer."""
        return self.filter(detached_at=None)

    def for_owner(self, owner: Owner) -> PaymentMethodQuerySet:
        return self.filter(owned_by(owner, "customer__")).select_related("customer")


class PaymentMethod(models.Model):
    """The projection of a payment method's events: what may be shown of a card, never its number."""

    id = PrefixedIdField(prefix="pm", primary_key=True)
    external_id = models.CharField(max_length=255, unique=True)
    customer = models.ForeignKey(Customer, models.CASCADE, null=True, related_name="payment_methods")
    type = models.CharField(max_length=64, blank=True)
    brand = models.CharField(max_length=64, blank=True)
    last4 = models.CharField(max_length=16, blank=True)
    exp_month = models.PositiveIntegerField(null=True)
    exp_year = models.PositiveIntegerField(null=True)
    detached_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = PaymentMethodQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.brand or self.type} {self.last4}".strip()

    @property
    def is_default(self) -> bool:
        """Whether its customer pays with it."""
        return bool(self.customer and self.customer.default_payment_method == self.external_id)
