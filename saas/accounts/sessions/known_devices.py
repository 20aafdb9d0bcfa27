"""Devices that were in an account before, known by a cookie (decision 35).

The cookie is a random name of the device and, for each account that was entered on it, a mark: a hash of name, account and
token epoch, which says nothing to who has it. All of it is signed, so no table remembers devices. Whatever ends every
session (a reset, a ban, logging out everywhere) raises the epoch, and the mark is worth nothing.

A known device is let in by nothing but the password. It has a counter of its own for wrong ones, so that strangers who guess
cannot keep the account's owner out. Clients that keep no cookies are unknown devices.
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
    """What this device's cookie holds of the account, which nobody else's cookie does; empty on an unknown device."""
    device = _read(request_context.current().device)
    mark = _mark(device, user)
    return mark if mark in device.marks else ""


def device_cookie_value(user: User) -> str:
    """The cookie of this device, from now on known for ``user``. Call it when she has proved who she is."""
    device = _read(request_context.current().device)
    mine = _mark(device, user)
    marks = [mine, *(mark for mark in device.marks if mark != mine)]
    return signing.dumps([device.id, *marks[:MAX_ACCOUNTS]], salt=_SALT)


def _read(cookie: str) -> Device:
    """A new device for a cookie that is not ours, or too old."""
    try:
        name, *marks = signing.loads(cookie[:_MAX_COOKIE], salt=_SALT, max_age=COOKIE_LIFETIME)
    except signing.BadSignature:
        return Device(secrets.token_urlsafe(16))
    return Device(name, tuple(marks))


def _mark(device: Device, user: User) -> str:
    return hashlib.sha256(f"{device.id}:{user.pk}:{user.token_epoch}".encode()).hexdigest()[:32]
