"""Lifetimes of sessions, cookies and tokens, per audience. ``_idle``: since the last use; the others: since the login."""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings

from saas.accounts.models import Audience

VISITOR_LIFETIME = timedelta(days=1)  # a session of Django's framework without a login


@dataclass(frozen=True)
class SessionLifetimes:
    access_token: timedelta
    refresh_idle: timedelta
    session: timedelta
    cookie_idle: timedelta
    cookie: timedelta


def lifetimes_for(audience: str) -> SessionLifetimes:
    if audience == Audience.STAFF:
        return SessionLifetimes(
            access_token=timedelta(minutes=5),
            refresh_idle=timedelta(minutes=30),
            session=timedelta(hours=8),
            cookie_idle=timedelta(minutes=15),
            cookie=timedelta(hours=8),
        )
    return SessionLifetimes(
        access_token=timedelta(minutes=settings.ACCESS_TOKEN_MINUTES),
        refresh_idle=timedelta(days=14),
        session=timedelta(days=90),
        cookie_idle=timedelta(days=7),
        cookie=timedelta(days=30),
    )
