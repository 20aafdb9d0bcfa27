"""What staff gave a customer in addition to what they bought. It expires, and changes no other row."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from saas.accounts.models import User
from saas.billing.models.catalogue import Plan
from saas.billing.models.customers import HAS_ONE_OWNER, Owner, owned_by
from saas.fields import PrefixedIdField


class EntitlementOverrideQuerySet(models.QuerySet["EntitlementOverride"]):
    def for_owner(self, owner: Owner) -> EntitlementOverrideQuerySet:
        """All that was ever given to exactly this user or team, the newest first."""
        return self.filter(owned_by(owner)).select_related("plan", "created_by").order_by("-id")

    def live(self, now: datetime) -> EntitlementOverrideQuerySet:
        """Neither ended by staff nor expired. ``now`` is billing's clock."""
        return self.filter(ended_at=None, expires_at__gt=now)


class EntitlementOverride(models.Model):
    """One of: a whole plan (a comp), one limit, one feature. ``value`` is a limit's; null is no limit."""

    class Kind(models.TextChoices):
        PLAN = "plan"
        LIMIT = "limit"
        FEATURE = "feature"

    id = PrefixedIdField(prefix="ovr", primary_key=True)
    user = models.ForeignKey(User, models.CASCADE, null=True, blank=True, related_name="entitlement_overrides")
    team = models.ForeignKey("teams.Team", models.CASCADE, null=True, blank=True, related_name="entitlement_overrides")
    kind = models.CharField(max_length=16, choices=Kind)
    plan = models.ForeignKey(Plan, models.PROTECT, null=True, blank=True, related_name="+")
    key = models.CharField(max_length=64, blank=True)  # the limit's or the feature's name
    value = models.PositiveIntegerField(null=True, blank=True)
    reason = models.CharField(max_length=500)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()  # by billing's clock
    ended_at = models.DateTimeField(null=True, blank=True)  # by staff, before it expired

    objects = EntitlementOverrideQuerySet.as_manager()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=HAS_ONE_OWNER,
                name="an_override_is_a_persons_or_a_teams",
            ),
            models.CheckConstraint(
                condition=Q(kind="plan", plan__isnull=False, key="", value=None)
                | (Q(kind="limit", plan=None) & ~Q(key=""))
                | (Q(kind="feature", plan=None, value=None) & ~Q(key="")),
                name="an_override_is_a_plan_or_a_limit_or_a_feature",
            ),
        ]

    def __str__(self) -> str:
        if self.kind == self.Kind.LIMIT:
            return f"{self.key}: {'no limit' if self.value is None else self.value}"
        return self.plan.name if self.plan else self.key

    def is_live(self, now: datetime) -> bool:
        """The same rule as ``live``."""
        return self.ended_at is None and self.expires_at > now
