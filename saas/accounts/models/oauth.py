"""Identities at OAuth providers, and sign-ins in progress."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from saas.accounts.models.sessions import LoginSession
from saas.accounts.models.users import User


class OAuthIdentityQuerySet(models.QuerySet["OAuthIdentity"]):
    def by_subject(self, issuer: str, subject: str) -> OAuthIdentity | None:
        """The identity with this ``subject`` at the issuer, with its user; None if there is none."""
        return self.filter(issuer=issuer, subject=subject).select_related("user").first()


class OAuthIdentity(models.Model):
    """A person at a provider, identified by the provider's ``subject``, never by an address."""

    provider = models.CharField(max_length=32)
    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255)
    user = models.ForeignKey(User, models.CASCADE, related_name="oauth_identities")
    email = models.CharField(max_length=254, blank=True)  # at the last login
    email_is_verified = models.BooleanField(default=False, db_default=False)  # by the provider
    created_at = models.DateTimeField(default=timezone.now)
    last_login_at = models.DateTimeField(default=timezone.now)

    objects = OAuthIdentityQuerySet.as_manager()

    class Meta:
        verbose_name, verbose_name_plural = "OAuth identity", "OAuth identities"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["issuer", "subject"], name="one_account_per_provider_identity"),
            models.UniqueConstraint(fields=["user", "provider"], name="one_identity_per_account_and_provider"),
        ]


class OAuthState(models.Model):
    """A sign-in in progress at a provider: single use, bound to the browser that began it.

    With ``session`` it links the provider to that session's user instead of logging in.
    """

    state_hash = models.CharField(max_length=64, primary_key=True)
    provider = models.CharField(max_length=32)
    browser_hash = models.CharField(max_length=64)
    session = models.ForeignKey(LoginSession, models.CASCADE, null=True, related_name="+")
    return_to = models.CharField(max_length=500, blank=True)
    expires_at = models.DateTimeField(db_index=True)
