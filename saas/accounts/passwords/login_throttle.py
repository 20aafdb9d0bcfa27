"""Throttle guesses at one account's password or second factor (login throttle, brute force, lockout).

Attempts are counted in the database, so that neither the client's IP address nor a flushed cache matters. An attempt is
counted before it is checked and uncounted if it was right: of fifty concurrent guesses five are checked.

There is one counter for all unknown devices (under the account's canonical address, whether or not there is an account), one
for each known device and one for each session: strangers lock out each other, but not the owner.
"""

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

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
    """The counter for a password attempt of this request; ``user`` is the account of the address, if there is one."""
    mark = known_devices.known_device_mark(user) if user else ""
    return _key("password on device", mark) if mark else password_key(email)


def password_key(email: str) -> str:
    """The counter for password attempts of all unknown devices."""
    try:
        return _key("password", canonical_email(email))
    except DomainError:
        return _key("password", email.strip().lower())


def session_key(session: LoginSession) -> str:
    """The counter for attempts in one session: at the password, or at the first code of a new second factor."""
    return _key("session", session.sid)


def code_key(user: User) -> str:
    """The counter for a second-factor attempt of this request. Only a client that knows the password can make one."""
    mark = known_devices.known_device_mark(user)
    return _key("second factor on device", mark) if mark else second_factor_key(user.id)


def second_factor_key(user_id: str) -> str:
    """The counter for second-factor attempts of all unknown devices."""
    return _key("second factor", user_id)


def _key(purpose: str, who: str) -> str:
    return hashlib.sha256(f"{purpose}:{who}".encode()).hexdigest()


@transaction.atomic
def count_attempt(key: str) -> None:
    """Count one more attempt. Raises ``TooManyAttempts`` with the seconds to wait if the key is blocked.

    Five attempts are free; after that each one blocks the next: 1, 2, 4, 8, at most 15 minutes. After 15 minutes without an
    attempt the count starts again.
    """
    FailedAttempts.objects.get_or_create(key=key, defaults={"free_from": timezone.now(), "last_at": timezone.now()})
    row = FailedAttempts.objects.select_for_update().get(key=key)
    now = timezone.now()  # read under the lock: an earlier reading would lie before the attempt that held it
    if row.free_from > now:
        raise TooManyAttempts(retry_after_seconds=math.ceil((row.free_from - now).total_seconds()))
    is_forgotten = now - max(row.last_at, row.free_from) >= WINDOW
    count = 1 if is_forgotten else row.count + 1
    block = timedelta(0)
    if count >= FREE_ATTEMPTS:
        doublings: int = min(count - FREE_ATTEMPTS, 10)
        block = min(FIRST_BLOCK * (1 << doublings), LONGEST_BLOCK)
    FailedAttempts.objects.filter(key=key).update(count=count, last_at=now, free_from=now + block)


@contextmanager
def uncounted_if_busy(key: str) -> Iterator[None]:
    """Take the attempt back if it was not checked (``HashingBusy``)."""
    try:
        yield
    except HashingBusy:
        FailedAttempts.objects.filter(key=key, count__gt=0).update(count=F("count") - 1, free_from=timezone.now())
        raise


def reset_attempts(key: str) -> None:
    """Set the count to zero: an attempt was right, or the account was proven otherwise (a completed reset).

    The row stays: a concurrent attempt may be about to update it.
    """
    FailedAttempts.objects.filter(key=key).update(count=0, free_from=timezone.now())
