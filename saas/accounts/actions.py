"""Register customers and change their profiles.

The other writes to accounts stand with their subject: ``sessions.logins``, ``passwords.password_change``, ``second_factor``,
``email_verification``, ``oauth.identities``, ``privacy.account_deletion`` and ``staff.staff_administration``.
"""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.utils import timezone

from saas.accounts import one_time_tokens
from saas.accounts.email_addresses import canonical_email, deliverable_email
from saas.accounts.models import OneTimeToken, Profile, User
from saas.accounts.passwords.validators import check_new_password
from saas.accounts.sessions.logins import Login, open_session
from saas.audit.actions import record
from saas.errors import DomainError
from saas.mail.actions import queue_mail
from saas.text_normalization import normalize_name


class EmailTaken(DomainError):
    code, title = "email_taken", "There is an account with this e-mail address already."  # 409


def register_customer(*, email: str, password: str, full_name: str = "") -> Login:
    """Create a customer, open a session and send the welcome mail. Raises ``EmailTaken``, ``InvalidAddress``, ``Invalid``.

    The password is hashed before the address is looked up, so that both answers cost the same, and before the transaction
    opens: 180 ms of arithmetic must not hold a lock.
    """
    user = User(
        email=deliverable_email(email), email_canonical=canonical_email(email), full_name=normalize_name(full_name)
    )
    check_new_password(password, user)
    user.password = make_password(password)
    try:
        with transaction.atomic():
            create_customer(user)
            return open_session(user, methods="pwd")
    except IntegrityError as error:
        _warn_owner(user.email_canonical)
        raise EmailTaken from error


def create_customer(user: User, **facts: str) -> None:
    """Store a new customer with profile and welcome mail, inside the caller's transaction. ``facts`` go to the audit event.

    Raises ``IntegrityError`` if the address is taken.
    """
    user.save(force_insert=True)
    Profile.objects.create(user=user, display_name=user.full_name[:100])
    record("user.registered", actor=user.id, target=user.id, **facts)
    send_welcome_mail(user)


@transaction.atomic
def _warn_owner(email_canonical: str) -> None:
    """Mail the account's owner, at most once a day, that a registration with their address was tried."""
    owner = User.objects.filter(email_canonical=email_canonical, status=User.Status.ACTIVE).first()
    if owner:
        queue_mail(
            "register_attempt",
            to=owner.email,
            context={"name": owner.full_name},
            dedupe_key=f"register_attempt:{owner.id}:{timezone.now():%Y-%m-%d}",
        )


def send_welcome_mail(user: User) -> None:
    """Send the first mail. It holds the link that verifies the address, unless an OAuth provider has verified it."""
    secrets = (
        {} if user.is_verified else {"token": one_time_tokens.issue_one_time_token(user, OneTimeToken.Purpose.VERIFY)}
    )
    queue_mail(
        "welcome",
        to=user.email,
        context={"name": user.full_name},
        secrets=secrets,
        dedupe_key=f"welcome:{user.id}",
    )


@transaction.atomic
def update_profile(user: User, changes: Mapping[str, Any]) -> Profile:
    """Set the given fields of a customer's profile."""
    profile, _ = Profile.objects.get_or_create(user=user)
    for field, value in changes.items():
        setattr(profile, field, value)
    if changes:
        profile.save(update_fields=[*changes, "updated_at"])
        record("profile.updated", actor=user.id, target=user.id, fields=sorted(changes))
    return profile
