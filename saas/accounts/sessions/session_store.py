"""Django's session framework on ``LoginSession`` rows: the cookie side of a login.

The cookie carries a random key; the row is found by a keyed hash of it. Saving does not change the login's columns, and never
restores a row that was revoked or deleted meanwhile.
"""

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.db import IntegrityError, transaction
from django.db.models import DateTimeField, Q
from django.utils import timezone

from saas.accounts.models import LoginSession
from saas.accounts.sessions import session_lifetimes
from saas.database.prepared_queries import PreparedQuery, QueryParameter

LAST_SEEN_INTERVAL = timedelta(minutes=1)
_BY_TOKEN = PreparedQuery(
    lambda: LoginSession.objects.live(QueryParameter("now", DateTimeField())).filter(
        sid=QueryParameter("sid"), audience=QueryParameter("audience")
    )
)
_BY_COOKIE = PreparedQuery(
    lambda: LoginSession.objects.select_related("user").filter(
        session_key=QueryParameter("session_key"), revoked_at=None
    )
)


def find_session_by_token(sid: str, audience: str, user_id: str) -> LoginSession | None:
    """Return the live session of a verified access token, with its user; None if it has ended."""
    row = _BY_TOKEN.fetch_first(sid=sid, audience=audience, now=timezone.now())
    return row if row and row.user_id == user_id else None


def hash_cookie_key(key: str) -> str:
    """Return what is stored of a cookie."""
    return _hash(key, settings.SESSION_SECRET)


def accepted_hashes(key: str) -> list[str]:
    """Return what may be stored of a cookie during a rotation of the secret: first what is stored of new ones."""
    return [_hash(key, secret) for secret in (settings.SESSION_SECRET, *settings.SESSION_SECRET_FALLBACKS)]


def _hash(key: str, secret: str) -> str:
    return hmac.new(secret.encode(), key.encode(), hashlib.sha256).hexdigest()


class SessionStore(DatabaseStore):
    """``live_session()`` reads the cookie's session together with its user, in one query."""

    _row: LoginSession | None = None
    _looked = False

    @classmethod
    def get_model_class(cls) -> type[LoginSession]:
        return LoginSession

    @classmethod
    def for_login(cls, key: str, row: LoginSession) -> "SessionStore":
        """Return the store of a new login, so that Django's middleware sends its cookie."""
        store = cls(key)
        store._row, store._looked = row, True
        store._session_cache = {}  # type: ignore[attr-defined]
        store.modified = True
        return store

    def live_session(self) -> LoginSession | None:
        """Return the cookie's session if it is live. The caller checks its audience."""
        self.accessed = True
        row = self._stored()
        user = row.user if row and row.user_id else None
        if row is None or user is None or not user.is_active:
            return None
        return row if row.epoch == user.token_epoch and row.ends_at > timezone.now() else None

    def load(self) -> dict[str, Any]:
        row = self._stored()
        return self.decode(row.session_data) if row else {}

    def exists(self, session_key: str) -> bool:
        return LoginSession.objects.filter(session_key__in=accepted_hashes(session_key)).exists()

    def save(self, must_create: bool = False) -> None:
        if self.session_key is None:
            return self.create()
        data = self.encode(self._get_session(no_load=must_create))  # type: ignore[attr-defined]
        if must_create:
            end = timezone.now() + session_lifetimes.VISITOR_LIFETIME
            visitor = LoginSession(
                session_key=hash_cookie_key(self.session_key), session_data=data, expire_date=end, ends_at=end
            )
            try:
                with transaction.atomic():
                    visitor.save(force_insert=True)
            except IntegrityError as error:
                raise CreateError from error
        elif not LoginSession.objects.filter(session_key__in=accepted_hashes(self.session_key), revoked_at=None).update(
            session_data=data
        ):
            raise UpdateError
        return None

    def delete(self, session_key: str | None = None) -> None:
        if key := session_key or self.session_key:
            LoginSession.objects.filter(session_key__in=accepted_hashes(key)).delete()

    @classmethod
    def clear_expired(cls) -> None:
        now = timezone.now()
        LoginSession.objects.filter(Q(ends_at__lt=now) | Q(user=None, expire_date__lt=now)).delete()

    def _stored(self) -> LoginSession | None:
        if not self._looked and self.session_key:
            self._row = _find_by_cookie(self.session_key)
            if self._row is None or self._row.expire_date <= timezone.now():
                self._row, self._session_key = None, None
        self._looked = True
        return self._row


def _find_by_cookie(key: str) -> LoginSession | None:
    found = (_BY_COOKIE.fetch_first(session_key=digest) for digest in accepted_hashes(key))
    return next(filter(None, found), None)


def update_last_seen(row: LoginSession, now: datetime) -> None:
    """Write ``last_seen_at`` and extend the idle limit, at most once a minute."""
    if now - row.last_seen_at < LAST_SEEN_INTERVAL:
        return
    lifetimes = session_lifetimes.lifetimes_for(row.audience)
    LoginSession.objects.filter(pk=row.pk, last_seen_at=row.last_seen_at).update(
        last_seen_at=now, expire_date=min(now + lifetimes.cookie_idle, row.created_at + lifetimes.cookie)
    )
