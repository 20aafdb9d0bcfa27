"""Devices on which an account was logged in to before, recognised by a cookie (trusted devices, decision 35).

The cookie holds a random device id and, for each account, a mark: a hash of device id, account and token epoch, which reveals
nothing. The cookie is signed, so no table stores devices. Everything that ends all sessions (a reset, a ban, logging out
everywhere) raises the epoch, which invalidates the mark.

A known device still needs the password. It has its own counter of wrong ones, so that guesses from elsewhere cannot lock out
the account's owner. Clients that keep no cookies are unknown devices.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.core import signing

from saas import request_context
from saas.accounts.models import User

COOKIE_LIFETIME = timedelta(days=180)  # since the last login on it
MAX_ACCOUNTS = 5
_MAX_COOKIE = 600
_SALT = "saas.accounts.devices"


@dataclass(frozen=True)
class Device:
    id: str
    marks: tuple[str, ...] = ()


def known_device_mark(user: User) -> str:
    """Return this device's mark of the account; empty on an unknown device."""
    device = _read(request_context.current().device)
    mark = _mark(device, user)
    return mark if mark in device.marks else ""


def device_cookie_value(user: User) -> str:
    """Return the cookie value that makes this device known for ``user``. Call it after they have logged in."""
    device = _read(request_context.current().device)
    mine = _mark(device, user)
    marks = [mine, *(mark for mark in device.marks if mark != mine)]
    return signing.dumps([device.id, *marks[:MAX_ACCOUNTS]], salt=_SALT)


def _read(cookie: str) -> Device:
    """Return the device of the cookie; a new one if the cookie is forged or too old."""
    try:
        name, *marks = signing.loads(cookie[:_MAX_COOKIE], salt=_SALT, max_age=COOKIE_LIFETIME)
    except signing.BadSignature:
        return Device(secrets.token_urlsafe(16))
    return Device(name, tuple(marks))


def _mark(device: Device, user: User) -> str:
    return hashlib.sha256(f"{device.id}:{user.pk}:{user.token_epoch}".encode()).hexdigest()[:32]
