"""Customers and their payment methods."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Protocol

from django.db import models
from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from saas.accounts.models import User
from saas.fields import PrefixedIdField


class TeamOwner(Protocol):
    """A team, as far as billing needs to know one: teams are above this layer."""

    @property
    def pk(self) -> str: ...

    @property
    def owner_id(self) -> str: ...


Owner = User | TeamOwner
CLOSED_STATUSES = [User.Status.DISABLED, User.Status.DELETED]


HAS_ONE_OWNER = Q(user=None, team__isnull=False) | Q(user__isnull=False, team=None)  # for constraints


def owner_fields(owner: Owner, path: str = "") -> dict[str, Any]:
    """The column of the owner, with the owner's id; ``path`` leads to the customer, such as ``customer__``."""
    return {f"{path}user_id" if isinstance(owner, User) else f"{path}team_id": owner.pk}


def owned_by(owner: Owner, path: str = "") -> Q:
    """Owned by exactly this user or team."""
    return Q(**owner_fields(owner, path))


def billing_path(owner: Owner) -> str:
    """Where the front end shows what the owner pays for."""
    return "/billing" if isinstance(owner, User) else f"/teams/{owner.pk}/billing"


def person_of(owner: Owner) -> str:
    """The id of the user, or of the team's owner."""
    return owner.pk if isinstance(owner, User) else owner.owner_id


def owned_by_person(person: str, path: str = "") -> Q:
    """Owned by the user of this id, or by one of the teams that they own, deleted ones, too."""
    return Q(**{f"{path}user": person}) | Q(**{f"{path}team__owner": person})


class CustomerQuerySet(models.QuerySet["Customer"]):
    def for_owner(self, owner: Owner) -> CustomerQuerySet:
        return self.filter(owned_by(owner))

    def of_user(self, user: User) -> CustomerQuerySet:
        """The user's own, and those of the teams that they own."""
        return self.filter(owned_by_person(user.pk))

    def current(self) -> CustomerQuerySet:
        """Without those that another has replaced. An owner has one at each provider."""
        return self.filter(replaced_at=None)

    def unlinked(self) -> CustomerQuerySet:
        """Only the provider knows whose they are."""
        return self.filter(user=None, team=None)

    def paying_for_nothing(self) -> CustomerQuerySet:
        """Unlinked, with a subscription that gives access or is paid for: a payer without an account."""
        rows = self.model._meta.get_field("subscriptions").related_model._default_manager.all()
        bought = rows.filter(customer=OuterRef("pk"), status__in=["trialing", "active", "past_due"])
        return self.unlinked().filter(Exists(bought))

    def with_profile(self) -> CustomerQuerySet:
        """With the address and the name that the provider should have: of the user, or of the team's owner; and when their
        billing details changed last."""
        return self.annotate(
            profile_email=Coalesce("team__owner__email", "user__email"),
            profile_name=Coalesce("team__owner__full_name", "user__full_name"),
            profile_status=Coalesce("team__owner__status", "user__status"),
            details_changed_at=Coalesce("team__billing_details__changed_at", "user__billing_details__changed_at"),
        )

    def with_changed_profile(self, provider: str, now: datetime) -> CustomerQuerySet:
        """Those of active people whose address, name or billing details the provider does not have yet, and may be told of
        now."""
        is_told = Q(told_email=F("profile_email"), told_name=F("profile_name"))
        is_untold = Q(told_details_at=None) | Q(told_details_at__lt=F("details_changed_at"))
        has_changed = ~is_told | Q(is_untold, details_changed_at__isnull=False)
        is_active = Q(profile_status=User.Status.ACTIVE)
        known = self.current().filter(provider=provider, deleted_at=None, profile_due_at__lte=now)
        return known.exclude(external_id="").with_profile().filter(is_active, has_changed)


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
    discounts = models.JSONField(null=True, blank=True)  # the rows of ``project_customer_discounts``
    deleted_at = models.DateTimeField(null=True, blank=True)
    replaced_at = models.DateTimeField(null=True, blank=True)  # by another, as the provider had this one no longer
    creation_attempt = models.PositiveIntegerField(default=0, db_default=0)  # a part of the idempotency key
    told_email = models.CharField(max_length=512, blank=True, db_default="")  # what we have sent to the provider
    told_name = models.CharField(max_length=200, blank=True, db_default="")
    told_details_at = models.DateTimeField(null=True, blank=True)  # ``changed_at`` of the details that were sent
    profile_failures = models.PositiveIntegerField(default=0, db_default=0)
    profile_due_at = models.DateTimeField(default=timezone.now, db_default=Now())  # not sent before, after a failure
    reconciled_at = models.DateTimeField(null=True, blank=True)  # when it was last compared with the provider
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["external_id"], condition=~Q(external_id=""), name="a_providers_customer_is_stored_once"
            ),
            models.UniqueConstraint(
                fields=["user", "provider"],
                condition=Q(user__isnull=False, replaced_at=None),
                name="one_current_customer_per_user",
            ),
            models.UniqueConstraint(
                fields=["team", "provider"],
                condition=Q(team__isnull=False, replaced_at=None),
                name="one_current_customer_per_team",
            ),
            models.CheckConstraint(
                condition=Q(user=None) | Q(team=None), name="a_customer_is_a_person_or_a_team_not_both"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["id"], condition=Q(user=None, team=None), name="customers_who_are_stubs")
        ]

    @property
    def owner(self) -> Owner | None:
        """The user or team that it belongs to; ``None`` for a stub."""
        return self.user or self.team

    def __str__(self) -> str:
        return self.email or self.external_id or self.id

    @property
    def is_linked(self) -> bool:
        """A customer of ours, not one that only the provider knows."""
        return self.user_id is not None or self.team_id is not None


class PaymentMethodQuerySet(models.QuerySet["PaymentMethod"]):
    def usable(self) -> PaymentMethodQuerySet:
        """Still attached to its customer. With a customer its methods are gone, without an event for each."""
        return self.filter(detached_at=None, customer__deleted_at=None, customer__replaced_at=None)

    def for_owner(self, owner: Owner) -> PaymentMethodQuerySet:
        return self.filter(owned_by(owner, "customer__")).with_paying_method()

    def with_paying_method(self) -> PaymentMethodQuerySet:
        """With the customer, and what pays their latest live subscription, if that names a method of its own: a checkout at
        Stripe gives the card to the subscription, and the customer none."""
        rows = Customer._meta.get_field("subscriptions").related_model._default_manager.all()
        live = rows.filter(customer=OuterRef("customer")).exclude(status__in=["canceled", "incomplete_expired"])
        own = live.exclude(default_payment_method="").order_by("-started_at")
        paying = Subquery(own.values("default_payment_method")[:1])
        return self.select_related("customer").annotate(paying_method=paying)


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
        """Whether its customer pays with it. Of a row of ``with_paying_method``."""
        own = getattr(self, "paying_method", None)
        customers = self.customer.default_payment_method if self.customer else ""
        return self.external_id == (own or customers)
