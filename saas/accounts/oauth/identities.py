"""Log in by an identity at an OAuth provider, and link and unlink identities (account linking).

A known identity logs in. An unknown one creates an account if its address is unknown, too. It is never linked to an account
because the addresses are equal: a person who registered with another's address would share the account. But if the provider
has verified the address and the account is unconfirmed, the account is handed over, emptied.
"""

from django.db import IntegrityError, transaction
from django.utils import timezone

from saas.accounts import account_handover
from saas.accounts.actions import EmailTaken, create_customer, require_may_register
from saas.accounts.email_addresses import canonical_email, deliverable_email
from saas.accounts.models import LoginSession, OAuthIdentity, User
from saas.accounts.oauth.http_client import IdentityProviderUnavailable
from saas.accounts.oauth.providers import Identity, provider_label
from saas.accounts.sessions.logins import InvalidCredentials, Login, PendingMfa, complete_first_factor, open_session
from saas.audit.actions import record
from saas.errors import DomainError, Invalid, NotFound
from saas.mail.actions import queue_mail

METHODS = "fed"


class AccountExists(DomainError):
    code = "account_exists"  # 409
    title = "There is an account with this e-mail address. Log in to it, then link the provider."


class NoUsableAddress(DomainError):
    code, title = "oauth_email_missing", "The provider gave no e-mail address that we can use."  # 409


class IdentityTaken(DomainError):
    code, title = "identity_taken", "This provider account is linked to an account already."  # 409


class ProviderLinked(DomainError):
    code, title = "provider_linked", "Another account at this provider is linked. Unlink that one first."  # 409


class LastLoginMethod(DomainError):
    code, title = "last_login_method", "This is the only way into the account. Set a password first."  # 409


def log_in_by_identity(identity: Identity) -> Login | PendingMfa:
    """Log in to the identity's account, or create one.

    Raises ``AccountExists``, ``NoUsableAddress``, ``InvalidCredentials``, ``IdentityProviderUnavailable`` and, for a new person
    where registration is not open and who is not invited, ``RegistrationClosed``.
    """
    if login := _log_in_known(identity):
        return login
    if not identity.is_whole:
        raise IdentityProviderUnavailable
    if User.objects.by_email(identity.email) is None:
        require_may_register(identity.email, is_verified=identity.email_is_verified)
    try:
        return _log_in_verified(identity) if identity.email_is_verified else _create_account(identity)
    except (IntegrityError, EmailTaken) as error:  # a concurrent sign-in was faster, or the address is taken
        if login := _log_in_known(identity):
            return login
        raise AccountExists from error


@transaction.atomic
def _log_in_known(identity: Identity) -> Login | PendingMfa | None:
    known = OAuthIdentity.objects.by_subject(identity.issuer, identity.subject)
    if known is None:
        return None
    if not known.user.is_active or known.user.is_staff:
        raise InvalidCredentials
    shown = {"email": identity.email, "email_is_verified": identity.email_is_verified} if identity.is_whole else {}
    OAuthIdentity.objects.filter(pk=known.pk).update(last_login_at=timezone.now(), **shown)
    return complete_first_factor(known.user, methods=METHODS)


@transaction.atomic
def _log_in_verified(identity: Identity) -> Login:
    """Log in to a new, confirmed account, or to the unconfirmed one of the address, which the provider has verified."""
    try:
        login = account_handover.log_in_verified_email(
            email=identity.email,
            full_name=identity.name,
            encoded=account_handover.NO_PASSWORD,
            methods=METHODS,
            provider=identity.provider,
        )
    except Invalid as error:
        raise NoUsableAddress from error
    _attach(identity, login.user)
    return login


@transaction.atomic
def _create_account(identity: Identity) -> Login:
    try:
        user = User(
            email=deliverable_email(identity.email),
            email_canonical=canonical_email(identity.email),
            full_name=identity.name,
        )
    except Invalid as error:
        raise NoUsableAddress from error
    user.set_unusable_password()
    create_customer(user, provider=identity.provider)
    _attach(identity, user)
    return open_session(user, methods=METHODS)


def _attach(identity: Identity, user: User) -> None:
    OAuthIdentity.objects.create(
        provider=identity.provider,
        issuer=identity.issuer,
        subject=identity.subject,
        user=user,
        email=identity.email,
        email_is_verified=identity.email_is_verified,
    )


def link_identity(identity: Identity, *, session: LoginSession) -> None:
    """Let the session's user log in by ``identity`` as well. Raises ``IdentityTaken``, ``ProviderLinked``. May be repeated."""
    try:
        _link(identity, session.user)
    except IntegrityError as error:
        raise IdentityTaken from error


@transaction.atomic
def _link(identity: Identity, user: User | None) -> None:
    known = OAuthIdentity.objects.by_subject(identity.issuer, identity.subject)
    if user is None or (known and known.user != user):
        raise IdentityTaken
    if known is None:
        if OAuthIdentity.objects.filter(user=user, provider=identity.provider).exists():
            raise ProviderLinked
        _attach(identity, user)
        record("identity.linked", actor=user.id, target=user.id, provider=identity.provider)
        _mail(user, "identity_linked", identity.provider)


@transaction.atomic
def unlink_identity(user: User, *, provider: str) -> None:
    """Remove a provider from the login methods. Raises ``NotFound`` or ``LastLoginMethod``."""
    # Two concurrent unlinks must not remove the last login method.
    locked = User.objects.select_for_update().get(pk=user.pk)
    mine = OAuthIdentity.objects.filter(user=locked)
    if not mine.filter(provider=provider).exists():
        raise NotFound
    if not locked.has_usable_password() and mine.count() == 1:
        raise LastLoginMethod
    mine.filter(provider=provider).delete()
    record("identity.unlinked", actor=user.id, target=user.id, provider=provider)
    _mail(user, "identity_unlinked", provider)


def unlink_unproven_identities(user: User) -> None:
    """Remove identities whose provider has not verified the account's own address, inside the caller's transaction.

    For a password reset: the reader of the mailbox controls the other identities anyway; these may be an intruder's.
    """
    for row in OAuthIdentity.objects.filter(user=user):
        if not (row.email_is_verified and _is_address_of(user, row.email)):
            row.delete()
            record("identity.unlinked", actor=user.id, target=user.id, provider=row.provider)
            _mail(user, "identity_unlinked", row.provider)


def _is_address_of(user: User, email: str) -> bool:
    try:
        return canonical_email(email) == user.email_canonical
    except Invalid:
        return False


def _mail(user: User, template: str, provider: str) -> None:
    queue_mail(
        template,
        to=user.email,
        locale=user.locale,
        context={"name": user.full_name, "provider": provider_label(provider)},
        dedupe_key=f"{template}:{user.id}:{timezone.now().isoformat()}",
    )
