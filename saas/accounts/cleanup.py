"""Delete expired sign-ins, links, tokens and sessions: small deletes, often, none of which holds locks for long."""

from datetime import timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from saas.accounts.models import (
    FailedAttempts,
    Impersonation,
    LoginSession,
    OAuthState,
    OneTimeToken,
    PendingLogin,
    RefreshToken,
    ResetRequest,
)
from saas.accounts.passwords.login_throttle import LONGEST_BLOCK, WINDOW

RETENTION = timedelta(days=30)  # how long support may want to see what has ended
BATCH_SIZE = 500


def delete_expired() -> int:
    """Delete at most ``BATCH_SIZE`` expired rows of each kind; return how many rows went, with those that depend on them."""
    now = timezone.now()
    cutoff = now - RETENTION
    # A used link that proved an address stays: it says whose mails those to an earlier address are.
    proves_address = Q(purpose__in=[OneTimeToken.Purpose.VERIFY, OneTimeToken.Purpose.CHANGE], used_at__isnull=False)
    # Sessions of an impersonation stay: who acted in whose name is kept.
    impersonations = Impersonation.objects.filter(Q(session=OuterRef("pk")) | Q(staff_session=OuterRef("pk")))
    has_ended = Q(ends_at__lt=cutoff) | Q(revoked_at__lt=cutoff) | Q(user=None, expire_date__lt=now)
    expired: list[QuerySet[Any]] = [
        OAuthState.objects.filter(expires_at__lt=now),
        PendingLogin.objects.filter(expires_at__lt=now),
        FailedAttempts.objects.filter(last_at__lt=now - WINDOW - LONGEST_BLOCK),
        ResetRequest.objects.filter(handled_at__lt=cutoff),
        OneTimeToken.objects.filter(expires_at__lt=cutoff).exclude(proves_address),
        RefreshToken.objects.filter(expires_at__lt=now),  # used ones stay until then, so that a replay is noticed
        LoginSession.objects.filter(has_ended).exclude(Exists(impersonations)),
    ]
    deleted = 0
    for rows in expired:
        if ids := list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH_SIZE]):
            deleted += rows.model._default_manager.filter(pk__in=ids).delete()[0]
    return deleted
