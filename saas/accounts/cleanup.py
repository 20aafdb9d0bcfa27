"""What is deleted when: sign-ins, links and logins that are over. Small deletes, often: never one that holds locks for
long."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, Model, OuterRef, Q, QuerySet
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

RETENTION = timedelta(days=30)  # how long support may want to see what is over already
BATCH_SIZE = 500


def delete_expired() -> int:
    """Delete some of what is past its time; tells how many rows went with it."""
    return sum(_delete_step(rows) for rows in _past(timezone.now()))


def _past(now: datetime) -> list[QuerySet[Any]]:
    then = now - RETENTION
    return [
        OAuthState.objects.filter(expires_at__lt=now),
        PendingLogin.objects.filter(expires_at__lt=now),
        FailedAttempts.objects.filter(last_at__lt=now - WINDOW - LONGEST_BLOCK),
        ResetRequest.objects.filter(handled_at__lt=then),
        _links(then),
        _refresh_tokens(now),
        _sessions(now, then),
    ]


def _links(then: datetime) -> QuerySet[OneTimeToken]:
    """A used link that proved an address stays: it tells whose mails those to an earlier address are."""
    proves_address = Q(purpose__in=[OneTimeToken.Purpose.VERIFY, OneTimeToken.Purpose.CHANGE], used_at__isnull=False)
    return OneTimeToken.objects.filter(expires_at__lt=then).exclude(proves_address)


def _refresh_tokens(now: datetime) -> QuerySet[RefreshToken]:
    """Until its own end a spent one must be known, so that its replay is noticed."""
    return RefreshToken.objects.filter(expires_at__lt=now)


def _sessions(now: datetime, then: datetime) -> QuerySet[LoginSession]:
    """Not those behind an impersonation: who acted in whose name is kept."""
    acted = Impersonation.objects.filter(Q(session=OuterRef("pk")) | Q(staff_session=OuterRef("pk")))
    is_over = Q(ends_at__lt=then) | Q(revoked_at__lt=then) | Q(user=None, expire_date__lt=now)
    return LoginSession.objects.filter(is_over).exclude(Exists(acted))


def _delete_step(past: QuerySet[Any]) -> int:
    model: type[Model] = past.model
    ids = list(past.order_by("pk").values_list("pk", flat=True)[:BATCH_SIZE])
    return model._default_manager.filter(pk__in=ids).delete()[0] if ids else 0
