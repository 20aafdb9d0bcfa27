"""Second factors: authenticator secrets (encrypted), recovery codes (hashed), and logins that wait for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F

if TYPE_CHECKING:
    from datetime import datetime


class TotpQuerySet(models.QuerySet["Totp"]):
    def confirmed(self, user_id: str) -> TotpQuerySet:
        """The row of a person whose second factor is on."""
        return self.filter(user_id=user_id, confirmed_at__isnull=False)


class Totp(models.Model):
    """An authenticator's secret (RFC 6238). The second factor is on once ``confirmed_at`` is set."""

    user = models.OneToOneField("accounts.User", models.CASCADE, primary_key=True)
    sealed_secret = models.CharField(max_length=300)
    confirmed_at = models.DateTimeField(null=True)
    last_step = models.PositiveBigIntegerField(default=0)  # of the last code used: none up to it works again

    objects = TotpQuerySet.as_manager()


class RecoveryCode(models.Model):
    """One of ten codes for a person who lost the second factor."""

    user = models.ForeignKey("accounts.User", models.CASCADE, related_name="recovery_codes")
    code_hash = models.CharField(max_length=64)
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "code_hash"], name="a_recovery_code_once")]  # noqa: RUF012


class PendingLoginQuerySet(models.QuerySet["PendingLogin"]):
    def usable(self, now: datetime) -> PendingLoginQuerySet:
        fits = self.filter(user__token_epoch=F("epoch"), user__status="active")
        return fits.filter(used_at=None, expires_at__gt=now).select_related("user")


class PendingLogin(models.Model):
    """A login whose first factor was right and which waits for the second (``PendingMfa``)."""

    token_hash = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey("accounts.User", models.CASCADE, related_name="+")
    audience = models.CharField(max_length=16)
    epoch = models.PositiveIntegerField()
    methods = models.CharField(max_length=64)
    tries = models.PositiveSmallIntegerField(default=0)
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)

    objects = PendingLoginQuerySet.as_manager()
