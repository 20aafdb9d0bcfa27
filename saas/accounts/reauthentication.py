"""Reauthentication (step-up): require a recent login or the password before an operation that the thief of an unlocked
device must not do."""

from datetime import timedelta

from django.utils import timezone

from saas.accounts.models import LoginSession
from saas.accounts.passwords import login_throttle
from saas.accounts.sessions.logins import verify_password
from saas.errors import DomainError, Invalid

RECENT_LOGIN_WINDOW = timedelta(minutes=5)


class ReauthRequired(DomainError):
    code, title, status = "reauth_required", "Confirm your password first.", 403


def require_recent_login(session: LoginSession, *, current_password: str = "") -> None:
    """Raise ``ReauthRequired`` unless the session's login is at most five minutes old or ``current_password`` is right.

    A right password renews the login. A wrong one raises ``Invalid`` and counts against the session: five are free, then each
    one delays the next (``TooManyAttempts``).
    """
    if current_password:
        confirm_password(session, current_password)
    elif timezone.now() - session.authenticated_at > RECENT_LOGIN_WINDOW:
        raise ReauthRequired


def confirm_password(session: LoginSession, password: str) -> None:
    """Renew the session's login by the password. Raises ``Invalid``, ``TooManyAttempts`` and ``HashingBusy``."""
    key = login_throttle.session_key(session)
    login_throttle.count_attempt(key)
    with login_throttle.uncounted_if_busy(key):
        is_right = verify_password(session.user, password)
    if not is_right:
        raise Invalid(errors={"current_password": ["This is not your password."]})
    login_throttle.reset_attempts(key)
    session.authenticated_at = timezone.now()
    LoginSession.objects.filter(pk=session.pk).update(authenticated_at=session.authenticated_at)
