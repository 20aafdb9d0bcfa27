"""Logins and the refresh tokens that extend them."""

from __future__ import annotations

from datetime import datetime
from importlib import import_module
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from saas.accounts.models.users import User
from saas.database.prepared_queries import QueryParameter
from saas.ids import new_id


class Audience(models.TextChoices):
    """Who a session or token is for: neither is accepted where the other is required."""

    CUSTOMER = "saas"  # Product and Parity
    STAFF = "saas-admin"  # Admin ops and the operator API of Webhooks


def new_session_id() -> str:
    return new_id("ses")


class LoginSessionQuerySet(models.QuerySet["LoginSession"]):
    def live(self, now: datetime | QueryParameter | None = None) -> LoginSessionQuerySet:
        """Not revoked, not expired, of its user's current epoch, and of an active user."""
        return self.filter(
            revoked_at=None,
            ends_at__gt=now or timezone.now(),
            epoch=F("user__token_epoch"),
            user__status=User.Status.ACTIVE,
        ).select_related("user")

    def usable(self) -> LoginSessionQuerySet:
        """Live, and not left for so long that neither its cookie nor a refresh token can be used: what lists show."""
        now = timezone.now()
        refreshes = RefreshToken.objects.usable(now).filter(session=OuterRef("pk"))
        return self.live(now).filter(Q(expire_date__gt=now) | Exists(refreshes))


class LoginSession(AbstractBaseSession):
    """One login on one device. The cookie and every token of that login point to this row, and end with it.

    ``session_key`` is a keyed hash of the cookie: the cookie cannot be made from the row. ``user`` is null for a visitor whom
    Django's session framework remembers before login.
    """

    session_key = models.CharField(max_length=64, primary_key=True)
    sid = models.CharField(max_length=40, unique=True, default=new_session_id, editable=False)
    user = models.ForeignKey(User, models.CASCADE, null=True, related_name="sessions")
    audience = models.CharField(max_length=16, choices=Audience, default=Audience.CUSTOMER)
    epoch = models.PositiveIntegerField(default=0)
    methods = models.CharField(max_length=64, blank=True)  # RFC 8176 values, spaces between: "pwd otp"
    address = models.CharField(max_length=45, blank=True)
    agent = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    authenticated_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField()  # absolute; ``expire_date`` is when an idle cookie expires
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = LoginSessionQuerySet.as_manager()  # type: ignore[assignment,misc]

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["user", "-created_at"], name="sessions_of_user"),
            models.Index(
                fields=["last_seen_at", "user"], condition=Q(audience=Audience.CUSTOMER), name="customers_last_seen"
            ),
        ]

    @classmethod
    def get_session_store_class(cls) -> Any:
        return import_module(settings.SESSION_ENGINE).SessionStore


class RefreshTokenQuerySet(models.QuerySet["RefreshToken"]):
    def usable(self, now: datetime) -> RefreshTokenQuerySet:
        return self.filter(used_at=None, revoked_at=None, expires_at__gt=now)


class RefreshToken(models.Model):
    """One token of a session's refresh token family. Only the hash is stored (the token is 256 random bits)."""

    token_hash = models.CharField(max_length=64, unique=True)
    session = models.ForeignKey(LoginSession, models.CASCADE, related_name="refresh_tokens")
    parent = models.OneToOneField("self", models.SET_NULL, null=True, related_name="successor")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects = RefreshTokenQuerySet.as_manager()
