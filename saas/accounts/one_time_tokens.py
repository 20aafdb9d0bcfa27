"""One-time tokens in mailed links (password reset, e-mail verification): random, stored hashed, used once."""

import secrets
from datetime import timedelta

from django.utils import timezone

from saas.accounts.models import OneTimeToken, User
from saas.accounts.sessions.tokens import hash_token
from saas.errors import DomainError

LIFETIMES = {
    OneTimeToken.Purpose.RESET: timedelta(minutes=30),
    OneTimeToken.Purpose.VERIFY: timedelta(hours=24),
    OneTimeToken.Purpose.CHANGE: timedelta(hours=24),
    OneTimeToken.Purpose.KEEP: timedelta(days=14),
}
STAFF_RESET_LIFETIME = timedelta(minutes=15)
_BOUND_TO_EPOCH = {OneTimeToken.Purpose.RESET, OneTimeToken.Purpose.CHANGE}


class OneTimeTokenInvalid(DomainError):
    code, title, status = "link_invalid", "This link is not valid, or not any more. Ask for a new one.", 400


def issue_one_time_token(user: User, purpose: OneTimeToken.Purpose, *, email: str = "") -> str:
    """Return a new token for a mail to ``email`` (the account's own, if none is given). Call it inside the transaction."""
    raw = f"{purpose}_{secrets.token_urlsafe(32)}"
    now = timezone.now()
    is_staff_reset = user.is_staff and purpose == OneTimeToken.Purpose.RESET
    OneTimeToken.objects.create(
        token_hash=hash_token(raw),
        purpose=purpose,
        user=user,
        email=email or user.email,
        epoch=user.token_epoch if purpose in _BOUND_TO_EPOCH else None,
        created_at=now,
        expires_at=now + (STAFF_RESET_LIFETIME if is_staff_reset else LIFETIMES[purpose]),
    )
    return raw


def end_one_time_tokens(user: User, purpose: OneTimeToken.Purpose) -> None:
    """End the unused tokens of earlier mails. Call it inside the transaction."""
    now = timezone.now()
    OneTimeToken.objects.filter(user=user, purpose=purpose, used_at=None, expires_at__gt=now).update(expires_at=now)


def find_one_time_token(raw: str, *purposes: OneTimeToken.Purpose) -> OneTimeToken:
    """Return the row of a usable token without using it. Raises ``OneTimeTokenInvalid``, whatever is wrong."""
    token = OneTimeToken.objects.usable(timezone.now()).filter(token_hash=hash_token(raw), purpose__in=purposes).first()
    if token is None:
        raise OneTimeTokenInvalid
    return token


def consume_one_time_token(token: OneTimeToken) -> None:
    """Mark the token as used. Raises ``OneTimeTokenInvalid`` if it was used concurrently or its account has changed."""
    now = timezone.now()
    current = OneTimeToken.objects.usable(now).filter(pk=token.pk).values("pk")
    if not OneTimeToken.objects.filter(pk__in=current, used_at=None).update(used_at=now):
        raise OneTimeTokenInvalid
