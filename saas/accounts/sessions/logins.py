"""Log in, refresh and log out. A login is one ``LoginSession`` row, a cookie, an access token and a refresh token.

Passwords are checked before a transaction opens: 180 ms of arithmetic must not hold a lock.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from django.contrib.auth.hashers import check_password, make_password
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.crypto import get_random_string

from saas import request_context
from saas.accounts.models import Audience, LoginSession, PendingLogin, RefreshToken, Totp, User
from saas.accounts.passwords import hashing_pool, login_throttle
from saas.accounts.passwords.validators import MAX_LENGTH
from saas.accounts.sessions import known_devices, long_lived_credentials, session_lifetimes, session_store, tokens
from saas.accounts.sessions.long_lived_credentials import LongLivedCredential
from saas.accounts.staff.staff_pages import mail_values
from saas.audit.actions import record
from saas.errors import DomainError
from saas.ip_addresses import site_subnet
from saas.mail.actions import queue_mail
from saas.mail.models import Mail

PENDING_MFA_LIFETIME = timedelta(minutes=5)
DEVICE_MAILS_A_DAY = 5  # anyone can register with another person's address, and log in as a hundred devices
REUSE_GRACE = timedelta(seconds=10)
COOKIE_KEY_LENGTH = 43  # 256 bits in base 62
_COOKIE_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class InvalidCredentials(DomainError):
    code, title, status = "invalid_credentials", "Invalid credentials", 401


class InvalidRefreshToken(DomainError):
    code, title, status = "invalid_refresh_token", "This refresh token is not valid.", 401


class RefreshRotated(DomainError):
    code, title, status = "refresh_rotated", "This refresh token was exchanged a moment ago.", 401


class RefreshReused(DomainError):
    code, title, status = "refresh_reused", "This refresh token was used before; its session has been ended.", 401


@dataclass(frozen=True)
class Login:
    """What a client gets from a login. ``cookie_key`` is empty for a refresh, whose response sets no cookie."""

    user: User
    session: LoginSession
    access_token: str
    refresh_token: str
    cookie_key: str = ""
    token_type: ClassVar[str] = "bearer"

    @property
    def expires_in_seconds(self) -> int:
        return int(session_lifetimes.lifetimes_for(self.session.audience).access_token.total_seconds())


@dataclass(frozen=True)
class PendingMfa:
    """The first factor was right and a second is on: ``mfa_token`` can be used only to complete the login with it."""

    mfa_token: str
    mfa_required: ClassVar[bool] = True


def log_in(*, email: str, password: str, audience: Audience) -> Login | PendingMfa:
    """Open a session for the right password, or ask for the second factor.

    Raises ``InvalidCredentials``, whatever was wrong, ``TooManyAttempts`` and ``HashingBusy``. Exactly one password is hashed
    on every path, so that the time taken does not reveal which it was.
    """
    hashing_pool.LIMITER.require_capacity()
    user = User.objects.by_email(email)
    key = login_throttle.login_key(email, user)
    login_throttle.count_attempt(key)
    with login_throttle.uncounted_if_busy(key):
        is_right = verify_password(user, password)
    if not is_right or not user or not user.is_active or user.is_staff != (audience == Audience.STAFF):
        raise InvalidCredentials
    login_throttle.reset_attempts(key)  # before the transaction, so that no concurrent attempt waits for its end
    with transaction.atomic():
        return complete_first_factor(user, methods="pwd", audience=audience)


def complete_first_factor(user: User, *, methods: str, audience: Audience = Audience.CUSTOMER) -> Login | PendingMfa:
    """Open a session, or ask for the second factor if one is on. Call it inside the action's transaction, after every check."""
    if not Totp.objects.confirmed(user.id).exists():
        return open_session(user, methods=methods, audience=audience)
    raw = f"mfa_{secrets.token_urlsafe(32)}"
    PendingLogin.objects.create(
        token_hash=tokens.hash_token(raw),
        user=user,
        audience=audience,
        epoch=user.token_epoch,
        methods=methods,
        expires_at=timezone.now() + PENDING_MFA_LIFETIME,
    )
    return PendingMfa(raw)


def verify_password(user: User | None, password: str) -> bool:
    """Hash ``password`` exactly once, even for no user, and compare. Not inside a transaction; the caller counts attempts."""
    if len(password) > MAX_LENGTH:
        return False
    if user is None or not user.has_usable_password():
        make_password(password)
        return False
    unchanged = User.objects.filter(pk=user.pk, password=user.password)
    # The setter renews a hash of fewer iterations or an older pepper, unless the password changed meanwhile.
    return check_password(password, user.password, setter=lambda raw: unchanged.update(password=make_password(raw)))


def open_session(user: User, *, methods: str, audience: Audience = Audience.CUSTOMER) -> Login:
    """Open a session with its cookie and tokens, without asking for a second factor.

    Call it inside the action's transaction, after every check.
    """
    now, limits, here = timezone.now(), session_lifetimes.lifetimes_for(audience), request_context.current()
    cookie_key = get_random_string(COOKIE_KEY_LENGTH, _COOKIE_ALPHABET)
    _mail_new_device(user, here)
    session = LoginSession.objects.create(
        session_key=session_store.hash_cookie_key(cookie_key),
        user=user,
        audience=audience,
        epoch=user.token_epoch,
        methods=methods,
        address=here.address,
        agent=here.agent,
        created_at=now,
        authenticated_at=now,
        last_seen_at=now,
        expire_date=now + limits.cookie_idle,
        ends_at=now + limits.session,
    )
    User.objects.filter(pk=user.pk).update(last_login=now)
    record("session.opened", actor=user.id, target=session.sid, methods=methods, audience=str(audience))
    return Login(user, session, tokens.issue_access_token(session), _new_refresh_token(session, now), cookie_key)


def _mail_new_device(user: User, here: request_context.Context) -> None:
    """Mail the user if the device is unknown, unless it is the first login or an earlier one had its agent and subnet; a few
    times a day at most."""
    if known_devices.known_device_mark(user) or user.last_login is None:
        return
    same_agent = LoginSession.objects.filter(user=user, agent=here.agent)
    known = same_agent.values_list("address", flat=True).distinct()
    if site_subnet(here.address) in set(map(site_subnet, known)):
        return
    now, key = timezone.now(), f"new_device:{user.id}:"
    if Mail.objects.about(key).filter(created_at__gt=now - timedelta(days=1)).count() >= DEVICE_MAILS_A_DAY:
        return
    queue_mail(
        "new_device",
        to=user.email,
        locale=user.locale,
        context={**mail_values(user), "agent": here.agent, "address": here.address},
        # With the day: a device is unknown again once its sessions are no longer kept.
        dedupe_key=f"{key}{now:%Y-%m-%d}:{tokens.hash_token(here.agent + site_subnet(here.address))}",
    )


def exchange_refresh_token(raw: str, *, audience: Audience) -> Login:
    """Exchange a refresh token for a new pair, once (refresh token rotation).

    A repetition within ``REUSE_GRACE`` (a double click, two tabs, a lost response) gets the same refresh token again. Raises
    ``RefreshRotated`` if that one has itself been exchanged: nothing is issued and the session goes on. Raises
    ``RefreshReused`` for a later replay: two parties hold the token, and the session is ended. Raises
    ``InvalidRefreshToken`` for everything else.
    """
    try:
        with transaction.atomic():
            return _exchange(raw, audience, timezone.now())
    except RefreshReused:
        _end_reused(raw)
        raise


def _exchange(raw: str, audience: Audience, now: datetime) -> Login:
    won = RefreshToken.objects.usable(now).filter(token_hash=tokens.hash_token(raw)).update(used_at=now)
    old = RefreshToken.objects.filter(token_hash=tokens.hash_token(raw)).first()
    if old is None:
        raise InvalidRefreshToken
    session = LoginSession.objects.live().filter(pk=old.session_id, audience=audience).first()
    if session is None or session.user is None:
        raise InvalidRefreshToken
    if won:
        return Login(
            session.user, session, tokens.issue_access_token(session), _new_refresh_token(session, now, raw, old)
        )
    if old.used_at is None or old.revoked_at is not None:
        raise InvalidRefreshToken
    if now - old.used_at > REUSE_GRACE:
        raise RefreshReused
    return Login(session.user, session, tokens.issue_access_token(session), _reissue(old, raw, now))


def _reissue(old: RefreshToken, raw: str, now: datetime) -> str:
    """Return the token that ``old`` was exchanged for. Raises ``RefreshRotated`` if it has been used."""
    successors = tokens.accepted_successors(raw, old.used_at or now)
    waiting = RefreshToken.objects.usable(now).filter(parent=old, session=old.session_id)
    stored = waiting.filter(token_hash__in=successors).values_list("token_hash", flat=True).first()
    if stored is None:
        raise RefreshRotated
    return successors[stored]


def refresh_token_family(raw: str) -> str:
    """Return the key of the token's session for rate limits; an unknown token is its own family."""
    session_ids = RefreshToken.objects.filter(token_hash=tokens.hash_token(raw)).values_list("session_id", flat=True)
    return session_ids.first() or tokens.hash_token(raw)


def _new_refresh_token(
    session: LoginSession, now: datetime, before: str = "", parent: RefreshToken | None = None
) -> str:
    """Store and return a token: a random one, or the successor of the token ``before``, whose row is ``parent``."""
    raw = tokens.derive_next_refresh_token(before, now) if before else tokens.new_refresh_token()
    idle = session_lifetimes.lifetimes_for(session.audience).refresh_idle
    RefreshToken.objects.create(
        token_hash=tokens.hash_token(raw),
        session=session,
        parent=parent,
        created_at=now,
        expires_at=min(now + idle, session.ends_at),
    )
    return raw


@transaction.atomic
def _end_reused(raw: str) -> None:
    token = RefreshToken.objects.select_related("session__user").get(token_hash=tokens.hash_token(raw))
    user = token.session.user
    if user and end_session(token.session):
        record("session.refresh_reused", target=token.session.sid, user=user.id)
        queue_mail(
            "session_ended_reuse",
            to=user.email,
            locale=user.locale,
            context=mail_values(user),
            dedupe_key=f"reuse:{token.session.sid}",
        )


@transaction.atomic
def log_out(session: LoginSession) -> None:
    """End one session; its cookie and tokens stop working at once, in all services. May be repeated."""
    if end_session(session):
        record("session.closed", actor=session.user_id or "", target=session.sid)


@transaction.atomic
def log_out_everywhere(user: User, *, revoke_credentials: bool = False) -> list[LongLivedCredential]:
    """End every session of a person; return their long-lived credentials, which are revoked only if asked for."""
    User.objects.filter(pk=user.pk).update(token_epoch=F("token_epoch") + 1)
    end_sessions(user)
    record("session.closed_all", actor=user.id, target=user.id)
    user.refresh_from_db(fields=["token_epoch"])
    lasting = long_lived_credentials.list_long_lived_credentials(user)
    if revoke_credentials:
        long_lived_credentials.revoke_long_lived_credentials(user, by=user.id, because="logged out everywhere")
    return lasting


@transaction.atomic
def log_out_elsewhere(session: LoginSession) -> None:
    """End every session of the session's user but this one."""
    others = LoginSession.objects.filter(user=session.user_id, revoked_at=None).exclude(pk=session.pk)
    ended = others.update(revoked_at=timezone.now())
    record("session.closed_others", actor=session.user_id or "", target=session.user_id or "", sessions=ended)


def end_session(session: LoginSession) -> bool:
    """Revoke one session; return whether it was still open."""
    return bool(LoginSession.objects.filter(pk=session.pk, revoked_at=None).update(revoked_at=timezone.now()))


def end_sessions(user: User) -> int:
    """Revoke all sessions of a person; return how many were open. Where tokens issued within this second must end as well,
    also increase the user's ``token_epoch``."""
    return LoginSession.objects.filter(user=user, revoked_at=None).update(revoked_at=timezone.now())
