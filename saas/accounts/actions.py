"""Register customers and change their profiles.

The other writes to accounts stand with their subject: ``sessions.logins``, ``passwords.password_change``, ``second_factor``,
``email_verification``, ``oauth.identities``, ``privacy.account_deletion`` and ``staff.staff_administration``.
"""

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.utils import timezone

from saas.accounts import one_time_tokens
from saas.accounts.email_addresses import canonical_email, deliverable_email
from saas.accounts.metadata import merge_metadata
from saas.accounts.models import OneTimeToken, Profile, User
from saas.accounts.passwords.validators import check_new_password
from saas.accounts.sessions.logins import Login, open_session
from saas.audit.actions import record
from saas.errors import DomainError
from saas.localization.languages import request_language
from saas.mail.actions import queue_mail
from saas.text_normalization import normalize_name


class EmailTaken(DomainError):
    code, title = "email_taken", "There is an account with this e-mail address already."  # 409


class RegistrationClosed(DomainError):
    code, title, status = "registration_closed", "New accounts cannot be made here.", 403


_invitation_checks: list[Callable[[str], bool]] = []


def register_invitation_check(is_invited: Callable[[str], bool]) -> None:
    """Register a function that says whether an address is invited, for where ``REGISTRATION=invite``."""
    _invitation_checks.append(is_invited)


def require_may_register(email: str, *, is_verified: bool) -> None:
    """Raise ``RegistrationClosed`` unless a provider may bring a new account with this address; ``is_verified`` says that the
    provider has verified it."""
    if settings.REGISTRATION == "open":
        return
    is_invited = is_verified and any(check(email) for check in _invitation_checks)
    if settings.REGISTRATION != "invite" or not is_invited:
        raise RegistrationClosed


def new_customer(*, email: str, password: str, full_name: str = "") -> User:
    """Return a customer who is not stored yet, their address and password checked. Raises ``InvalidAddress``, ``Invalid``."""
    user = User(
        email=deliverable_email(email), email_canonical=canonical_email(email), full_name=normalize_name(full_name)
    )
    check_new_password(password, user)
    return user


def register_customer(user: User, *, password: str, warns_owner: bool = True) -> Login:
    """Store a ``new_customer``, open a session and send the welcome mail.

    Raises ``EmailTaken``, and warns the account's owner then, unless the caller does so by ``warn_owner``.

    The password is hashed before the address is looked up, so that both answers cost the same, and before the transaction
    opens: 180 ms of arithmetic must not hold a lock.
    """
    user.password = make_password(password)
    try:
        with transaction.atomic():
            create_customer(user)
            return open_session(user, methods="pwd")
    except IntegrityError as error:
        if warns_owner:
            warn_owner(user.email_canonical)
        raise EmailTaken from error


def create_customer(user: User, **facts: str) -> None:
    """Store a new customer with profile and welcome mail, inside the caller's transaction. ``facts`` go to the audit event.

    Raises ``IntegrityError`` if the address is taken.
    """
    user.locale = request_language()
    user.save(force_insert=True)
    Profile.objects.create(user=user, display_name=user.full_name[:100])
    record("user.registered", actor=user.id, target=user.id, **facts)
    send_welcome_mail(user)


@transaction.atomic
def warn_owner(email_canonical: str) -> None:
    """Mail the account's owner, at most once a day, that a registration with their address was tried."""
    owner = User.objects.filter(email_canonical=email_canonical, status=User.Status.ACTIVE).first()
    if owner:
        queue_mail(
            "register_attempt",
            to=owner.email,
            locale=owner.locale,
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
        locale=user.locale,
        context={"name": user.full_name},
        secrets=secrets,
        dedupe_key=f"welcome:{user.id}",
    )


@transaction.atomic
def update_profile(user: User, changes: Mapping[str, Any]) -> Profile:
    """Set the given fields of a customer's profile; ``full_name`` and ``locale`` are columns of the user.

    ``metadata`` is merged; customers may change the declared keys. Raises ``Invalid``, ``MetadataReadOnly``.
    """
    profile, _ = Profile.objects.select_for_update(no_key=True).get_or_create(user=user)
    profile.user = user
    if "metadata" in changes:
        writable = settings.USER_METADATA_WRITABLE
        changes = {**changes, "metadata": merge_metadata(profile.metadata, changes["metadata"], writable=writable)}
    own = {field: value for field, value in changes.items() if field in {"full_name", "locale"}}
    for row, fields in ((user, own), (profile, {name: changes[name] for name in changes.keys() - own.keys()})):
        for field, value in fields.items():
            setattr(row, field, value)
        if fields:
            row.save(update_fields=[*fields, "updated_at"])
    if changes:
        record("profile.updated", actor=user.id, target=user.id, fields=sorted(changes))
    return profile
