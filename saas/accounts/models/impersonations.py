"""A member of staff who looks at the product as a customer sees it. (Apart from ``models``, which is long enough.)"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F
from django.utils import timezone

from saas.fields import PrefixedIdField

if TYPE_CHECKING:
    from datetime import datetime

    from saas.accounts.models import LoginSession, User


class ImpersonationQuerySet(models.QuerySet["Impersonation"]):
    def listed(self) -> ImpersonationQuerySet:
        """With what a list shows."""
        return self.select_related("staff_session__user", "session__user")

    def of_customer(self, customer: User) -> ImpersonationQuerySet:
        """All that ever were in this customer's name."""
        return self.filter(session__user=customer)

    def running(self, now: datetime) -> ImpersonationQuerySet:
        """Neither ended nor run out, while the member of staff is one, may be here, and is still logged in."""
        return self.filter(
            ended_at=None,
            ends_at__gt=now,
            staff_session__revoked_at=None,
            staff_session__ends_at__gt=now,
            staff_session__epoch=F("staff_session__user__token_epoch"),
            staff_session__user__is_staff=True,
            staff_session__user__status="active",
        )

    def running_in(self, session: LoginSession, now: datetime) -> Impersonation | None:
        """The running impersonation whose session this is."""
        return self.running(now).filter(session=session).select_related("staff_session__user").first()


class Impersonation(models.Model):
    """``session`` is the customer's side (it has no cookie and no refresh token), ``staff_session`` where it came from:
    if either dies, so does this."""

    id = PrefixedIdField(prefix="imp", primary_key=True)
    session = models.OneToOneField("accounts.LoginSession", models.CASCADE, related_name="impersonation")
    staff_session = models.ForeignKey("accounts.LoginSession", models.CASCADE, related_name="+")
    reason = models.CharField(max_length=500)
    ticket = models.CharField(max_length=100, blank=True)
    may_write = models.BooleanField(default=False)
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    ends_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)  # by hand, before its time

    objects = ImpersonationQuerySet.as_manager()

    def __str__(self) -> str:
        return self.id
