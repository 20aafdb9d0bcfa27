"""Members of staff acting in a customer's name."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import F
from django.utils import timezone

from saas.accounts.models.sessions import LoginSession
from saas.accounts.models.users import User
from saas.fields import PrefixedIdField


class ImpersonationQuerySet(models.QuerySet["Impersonation"]):
    def listed(self) -> ImpersonationQuerySet:
        """With the people that a list shows."""
        return self.select_related("staff_session__user", "session__user")

    def of_customer(self, customer: User) -> ImpersonationQuerySet:
        """All that were ever made in this customer's name, with both sessions."""
        return self.filter(session__user=customer).select_related("session", "staff_session")

    def running(self, now: datetime) -> ImpersonationQuerySet:
        """Neither ended nor expired, by an active member of staff who is still logged in."""
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
    """``session`` acts as the customer and has no cookie and no refresh token; ``staff_session`` is who started it.

    The impersonation ends when either session ends.
    """

    id = PrefixedIdField(prefix="imp", primary_key=True)
    session = models.OneToOneField(LoginSession, models.CASCADE, related_name="impersonation")
    staff_session = models.ForeignKey(LoginSession, models.CASCADE, related_name="+")
    reason = models.CharField(max_length=500)
    ticket = models.CharField(max_length=100, blank=True)
    may_write = models.BooleanField(default=False)
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    ends_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)  # by staff, before ``ends_at``

    # Of the impersonated view (``impersonation_views``): hashes of the one-time code and of the cookie.
    view_code_hash = models.CharField(max_length=64, blank=True, db_default="", default="")
    view_code_expires_at = models.DateTimeField(null=True, blank=True)
    view_key_hash = models.CharField(max_length=64, blank=True, db_default="", default="", db_index=True)

    objects = ImpersonationQuerySet.as_manager()

    def __str__(self) -> str:
        return self.id

    def over_at(self) -> datetime:
        """When it ended, or will by itself: with its minutes, by staff, or with either of the two sessions."""
        sessions = (self.session, self.staff_session)
        ends = [self.ends_at, self.ended_at, *(end for one in sessions for end in (one.ends_at, one.revoked_at))]
        return min(end for end in ends if end)

    def ended_early_at(self, now: datetime) -> datetime | None:
        """When it ended, if that was before its minutes were over."""
        over_at = self.over_at()
        return over_at if over_at <= now and over_at < self.ends_at else None

    def is_running(self, now: datetime) -> bool:
        """Whether it is not over, and both its people are active and not logged out everywhere. The row comes ``listed``."""
        return self.over_at() > now and all(map(_is_of_active_user, (self.session, self.staff_session)))


def _is_of_active_user(session: LoginSession) -> bool:
    """Whether its user is active and has not been logged out everywhere since."""
    user = session.user
    return user is not None and user.is_active and session.epoch == user.token_epoch
