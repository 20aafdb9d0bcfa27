"""An account that nobody confirmed belongs to who proves its mailbox, and to nobody else.

Anybody can register somebody else's address. Whoever then reads that mailbox (a password reset, an invitation) or is vouched
for by a provider gets the account as if nobody had been there before. Only the registration's own link confirms it as it
is: its page says whose account that would be (decision 120).
"""

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
from saas.mail.actions import queue_mail

NO_PASSWORD = None


def log_in_verified_email(*, email: str, full_name: str, encoded: str | None, methods: str, **facts: str) -> Login:
    """Log in who proved the mailbox of ``email``: to a new account, or to the one that nobody confirmed, emptied.

    ``encoded`` is the hash of her password, or ``NO_PASSWORD``; ``facts`` go to the trail. Call it inside the action's
    transaction. Raises ``EmailTaken`` for an account that is confirmed, banned, given up or staff's.
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
    except IntegrityError as error:  # somebody registered it at this moment
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
    """Take out what whoever registered the address put in, inside the caller's transaction and under the account's lock.

    The caller replaces the password, confirms the address and raises the epoch. Teams and what was bought stay: somebody
    who forgot to confirm her address pays for them, and everybody who is in them can be seen.
    """
    for secret in (Totp, RecoveryCode, PendingLogin, OAuthIdentity):
        secret.objects.filter(user=user).delete()
    OneTimeToken.objects.filter(user=user, used_at=None).delete()
    end_sessions(user)
    LoginSession.objects.filter(user=user, impersonation=None).delete()
    Profile.objects.filter(user=user).delete()
    Profile.objects.create(user=user)
    User.objects.filter(pk=user.pk).update(full_name="", locale="en", last_login=None)
    user.full_name, user.locale = "", "en"
    long_lived_credentials.revoke_long_lived_credentials(user, by=user.id, because="handed over")
    record("user.handed_over", actor=user.id, target=user.id)
    queue_mail("account_handed_over", to=user.email, context={}, dedupe_key=f"handed_over:{user.id}:{user.token_epoch}")
