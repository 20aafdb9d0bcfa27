"""Guesses at one account's password, counted in the database: whatever the address they come from, and whoever flushes
a cache.

A guess is counted before it is looked at, and forgotten if it was right: so of fifty guesses at once five are looked at.

Who counts together: all unknown devices, under the account's address in its canonical form, whether or not there is an
account; each known device by itself; each session by itself. So strangers keep each other out, and nobody else.
"""

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from saas.accounts.email_addresses import canonical_email
from saas.accounts.models import FailedAttempts, LoginSession, User
from saas.accounts.passwords.hashing_pool import HashingBusy
from saas.accounts.sessions import known_devices
from saas.errors import DomainError

FREE_ATTEMPTS = 5
WINDOW = timedelta(minutes=15)
FIRST_BLOCK = timedelta(minutes=1)
LONGEST_BLOCK = timedelta(minutes=15)


class TooManyAttempts(DomainError):
    code, title, status = "too_many_attempts", "Too many failed attempts. Try again later.", 429


def login_key(email: str, user: User | None) -> str:
    """What the guesses of this request at a password are counted under; ``user`` is whose address it is, if anybody's."""
    mark = known_devices.known_device_mark(user) if user else ""
    return _key("password on device", mark) if mark else password_key(email)


def password_key(email: str) -> str:
    """What the guesses of all unknown devices at a password are counted under."""
    try:
        return _key("password", canonical_email(email))
    except DomainError:
        return _key("password", email.strip().lower())


def session_key(session: LoginSession) -> str:
    """What the guesses at a password, or at a new second factor's first code, in one session are counted under."""
    return _key("session", session.sid)


def code_key(user: User) -> str:
    """What the guesses of this request at a second factor are counted under, which only who has the password can make."""
    mark = known_devices.known_device_mark(user)
    return _key("second factor on device", mark) if mark else second_factor_key(user.id)


def second_factor_key(user_id: str) -> str:
    """What the guesses of all unknown devices at a second factor are counted under."""
    return _key("second factor", user_id)


def _key(purpose: str, who: str) -> str:
    return hashlib.sha256(f"{purpose}:{who}".encode()).hexdigest()


@transaction.atomic
def count_attempt(key: str) -> None:
    """Count one more attempt. Raises ``TooManyAttempts`` with the seconds to wait if it is one too many.

    Five are free; then each makes the next wait: 1, 2, 4, 8, at most 15 minutes. A quarter of an hour's peace forgets.
    """
    FailedAttempts.objects.get_or_create(key=key, defaults={"free_from": timezone.now(), "last_at": timezone.now()})
    row = FailedAttempts.objects.select_for_update().get(key=key)
    now = timezone.now()  # once it is our turn: to whoever looked before, the attempt in front would seem to lie ahead
    if row.free_from > now:
        raise TooManyAttempts(retry_after_seconds=math.ceil((row.free_from - now).total_seconds()))
    is_forgotten = now - max(row.last_at, row.free_from) >= WINDOW
    count = 1 if is_forgotten else row.count + 1
    FailedAttempts.objects.filter(key=key).update(count=count, last_at=now, free_from=_free_from(count, now))


def _free_from(count: int, now: datetime) -> datetime:
    if count < FREE_ATTEMPTS:
        return now
    doublings: int = min(count - FREE_ATTEMPTS, 10)
    return now + min(FIRST_BLOCK * (1 << doublings), LONGEST_BLOCK)


@contextmanager
def uncounted_if_busy(key: str) -> Iterator[None]:
    """An attempt that nobody had time to look at (``HashingBusy``) was none."""
    try:
        yield
    except HashingBusy:
        FailedAttempts.objects.filter(key=key, count__gt=0).update(count=F("count") - 1, free_from=timezone.now())
        raise


def reset_attempts(key: str) -> None:
    """An attempt was right, or the account was proven otherwise (a completed reset).

    The row stays: somebody else may be about to count on it.
    """
    FailedAttempts.objects.filter(key=key).update(count=0, free_from=timezone.now())
