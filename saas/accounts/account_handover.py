"""Hand an unconfirmed account over to the person who proves its mailbox (against account pre-hijacking).

Anyone can register with another person's address. When that person then proves the mailbox (by a password reset, an
invitation, or a provider that has verified the address), they get the account emptied of everything that was put into it
before. Only the registration's own link confirms it as it is: its page says whose account that would be (decision 120).
"""

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from saas.accounts.actions import EmailTaken, create_customer
from saas.accounts.email_addresses import canonical_email, deliverable_email
from saas.accounts.models import (
    LoginSession,
    OAuthIdentity,
    OneTimeToken,
    PendingLogin,
    Profile,
    RecoveryCode,
    Totp,
    User,
)
from saas.accounts.passwords import login_throttle
from saas.accounts.sessions import long_lived_credentials
from saas.accounts.sessions.logins import Login, end_sessions, open_session
from saas.audit.actions import record
from saas.localization.languages import request_language
from saas.mail.actions import queue_mail

NO_PASSWORD = None


def log_in_verified_email(*, email: str, full_name: str, encoded: str | None, methods: str, **facts: str) -> Login:
    """Open a session for the person who proved the mailbox of ``email``: in a new account, or in the unconfirmed one, emptied.

    ``encoded`` is the hash of their password, or ``NO_PASSWORD``; ``facts`` go to the audit event. Call it inside the
    action's transaction. Raises ``EmailTaken`` for an account that is confirmed, banned, deleted or of staff.
    """
    user = User.objects.select_for_update().filter(email_canonical=canonical_email(email)).first()
    if user is None:
        user = _create(email, full_name, encoded, facts)
    elif user.is_verified or user.is_staff or not user.is_active:
        raise EmailTaken
    else:
        _hand_over(user, full_name, encoded)
    return open_session(user, methods=methods)


def _create(email: str, full_name: str, encoded: str | None, facts: dict[str, str]) -> User:
    user = User(
        email=deliverable_email(email),
        email_canonical=canonical_email(email),
        email_verified_at=timezone.now(),
        full_name=full_name,
        password=encoded or make_password(NO_PASSWORD),
    )
    try:
        with transaction.atomic():
            create_customer(user, **facts)
    except IntegrityError as error:  # registered concurrently
        raise EmailTaken from error
    return user


def _hand_over(user: User, full_name: str, encoded: str | None) -> None:
    remove_previous_access(user)
    User.objects.filter(pk=user.pk).update(
        full_name=full_name,
        password=encoded or make_password(NO_PASSWORD),
        email_verified_at=timezone.now(),
        token_epoch=F("token_epoch") + 1,
        updated_at=timezone.now(),
    )
    Profile.objects.filter(user=user).update(display_name=full_name[:100])
    login_throttle.reset_attempts(login_throttle.password_key(user.email))
    user.refresh_from_db()


def remove_previous_access(user: User) -> None:
    """Remove every login method and all data of the registrant, inside the caller's transaction and under the account's lock.

    The caller replaces the password, confirms the address and raises the epoch. Teams and purchases stay: a person who
    forgot to confirm their address pays for them, and their members are visible. So does metadata that staff alone set.
    """
    for secret in (Totp, RecoveryCode, PendingLogin, OAuthIdentity):
        secret.objects.filter(user=user).delete()
    OneTimeToken.objects.filter(user=user, used_at=None).delete()
    end_sessions(user)
    LoginSession.objects.filter(user=user, impersonation=None).delete()
    metadata = _staff_metadata(user)
    Profile.objects.filter(user=user).delete()
    Profile.objects.create(user=user, metadata=metadata)
    user.full_name, user.locale = "", request_language()
    User.objects.filter(pk=user.pk).update(full_name="", locale=user.locale, last_login=None)
    long_lived_credentials.revoke_long_lived_credentials(user, by=user.id, because="handed over")
    record("user.handed_over", actor=user.id, target=user.id)
    key = f"handed_over:{user.id}:{user.token_epoch}"
    queue_mail("account_handed_over", to=user.email, locale=user.locale, context={}, dedupe_key=key)


def _staff_metadata(user: User) -> dict[str, str]:
    """Return the metadata that only staff may change. Lock the profile, so that a change made meanwhile is kept."""
    profile = Profile.objects.select_for_update().filter(user=user).first() or Profile()
    return {key: value for key, value in profile.metadata.items() if key not in settings.USER_METADATA_WRITABLE}
