"""What staff do to accounts: create staff, ban, end sessions, reset, take notes. Everything is in the audit trail.

``by`` is the member of staff who acts. The caller checks the permission (``staff_roles``); conditions that depend on the
account are checked here.
"""

from collections.abc import Mapping, Sequence

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from saas import text_normalization
from saas.accounts import one_time_tokens, second_factor
from saas.accounts.actions import EmailTaken
from saas.accounts.email_addresses import canonical_email, deliverable_email
from saas.accounts.metadata import changed_keys, merge_metadata
from saas.accounts.models import Deletion, OneTimeToken, Profile, StaffRole, User, UserNote
from saas.accounts.passwords import login_throttle
from saas.accounts.passwords.password_reset_mails import mail_reset_link
from saas.accounts.passwords.validators import check_new_password
from saas.accounts.privacy.account_deletion import begin_deletion
from saas.accounts.sessions import long_lived_credentials
from saas.accounts.sessions.logins import end_sessions
from saas.accounts.staff.staff_pages import mail_values
from saas.accounts.staff.staff_roles import StaffPermission, has_permission, roles_of
from saas.audit.actions import record
from saas.errors import DomainError, Invalid
from saas.mail import actions as mail_actions
from saas.mail.actions import queue_mail
from saas.mail.models import Mail


class CannotBanSelf(DomainError):
    code, title = "cannot_ban_self", "You cannot ban yourself."  # 409


class LastAdmin(DomainError):
    code, title = "last_admin", "This is the last admin: at least one has to remain."  # 409


class AccountDeleted(DomainError):
    code, title = "account_deleted", "This account has been deleted."  # 409


class CannotDeleteStaff(DomainError):
    code, title = "cannot_delete_staff", "Members of staff are banned, not deleted: the audit trail names them."  # 409


class AccountNotActive(DomainError):
    code, title = "account_not_active", "This account is banned or deleted."  # 409


class CannotResetOwnFactor(DomainError):
    code, title = "cannot_reset_own_factor", "Ask another admin: you cannot remove your own second factor here."  # 409


class StaffAccount(DomainError):
    code, title, status = "staff_account", "Only an admin may do this to a member of staff.", 403


class NotACustomer(DomainError):
    code, title = "not_a_customer", "Only customers have metadata, not members of staff."  # 409


class NotStaff(DomainError):
    code, title = "not_staff", "Only members of staff have roles; manage.py create_staff makes them."  # 409


class StaffNotFound(DomainError):
    code, title, status = "no_such_staff", "No active member of staff has this address.", 404


def create_staff(
    *, email: str, password: str, full_name: str, by: str, roles: Sequence[StaffRole] = (), is_superuser: bool = False
) -> User:
    """Create a member of staff. Raises ``EmailTaken``, ``InvalidAddress``, ``Invalid``.

    Hashes before the transaction opens: 180 ms of arithmetic must not hold a lock.
    """
    user = _new_staff(email, full_name)
    user.is_superuser = is_superuser
    check_new_password(password, user)
    user.password = make_password(password)
    try:
        return _create_staff(user, roles, by)
    except IntegrityError as error:
        raise EmailTaken from error


def invite_staff(*, email: str, full_name: str, by: str, roles: Sequence[StaffRole]) -> tuple[User, str]:
    """Create a member of staff without a password; return them and the token of the link by which they set one within minutes.

    Raises ``EmailTaken``, ``InvalidAddress``.
    """
    user = _new_staff(email, full_name)
    user.set_unusable_password()
    try:
        with transaction.atomic():
            return _create_staff(user, roles, by), one_time_tokens.issue_one_time_token(
                user, OneTimeToken.Purpose.RESET
            )
    except IntegrityError as error:
        raise EmailTaken from error


@transaction.atomic
def reinvite_staff(*, email: str, by: str) -> tuple[User, str]:
    """Return a member of staff and a new token, for one whose first has expired. Raises ``StaffNotFound``."""
    user = User.objects.by_email(email)
    if user is None or not user.is_staff or not user.is_active:
        raise StaffNotFound
    record("staff.invited_again", actor=by, target=user.id)
    return user, one_time_tokens.issue_one_time_token(user, OneTimeToken.Purpose.RESET)


def _new_staff(email: str, full_name: str) -> User:
    if fault := text_normalization.name_error(full_name):
        raise Invalid(fault, errors={"full_name": [fault]})
    return User(
        email=deliverable_email(email),
        email_canonical=canonical_email(email),
        full_name=text_normalization.normalize_name(full_name),
        is_staff=True,
        email_verified_at=timezone.now(),
    )


@transaction.atomic
def _create_staff(user: User, roles: Sequence[StaffRole], by: str) -> User:
    user.save(force_insert=True)
    _set_groups(user, roles)
    record("staff.created", actor=by, target=user.id, roles=[role.value for role in roles])
    return user


@transaction.atomic
def ban_user(user: User, *, by: User, reason: str) -> User:
    """Disable an account and end all its sessions at once. A pending deletion goes on.

    Banning twice changes nothing. Raises ``CannotBanSelf``, ``StaffAccount``, ``LastAdmin``, ``AccountDeleted``.
    """
    if user == by:
        raise CannotBanSelf
    _require_reach(user, by)
    if user.is_staff:
        _require_another_admin(user)
    not_banned = [User.Status.ACTIVE, *([User.Status.DELETED] if _has_pending_deletion(user) else [])]
    changed = User.objects.filter(pk=user.pk, status__in=not_banned).update(
        status=User.Status.DISABLED,
        status_reason=reason,
        token_epoch=F("token_epoch") + 1,
        updated_at=timezone.now(),
    )
    if changed:
        end_sessions(user)
        long_lived_credentials.revoke_long_lived_credentials(user, by=by.id, because="ban")
        record("user.banned", actor=by.id, target=user.id, reason=reason)
    return _as_stored(user, changed)


@transaction.atomic
def unban_user(user: User, *, by: User, reason: str = "") -> User:
    """Let a banned person log in again and reset their failed attempts. Earlier sessions stay ended.

    An account whose deletion is pending goes back to that. Raises ``StaffAccount``, ``AccountDeleted``.
    """
    _require_reach(user, by)
    status = User.Status.DELETED if _has_pending_deletion(user) else User.Status.ACTIVE
    changed = User.objects.filter(pk=user.pk, status=User.Status.DISABLED).update(
        status=status, status_reason="", updated_at=timezone.now()
    )
    if changed:
        login_throttle.reset_attempts(login_throttle.password_key(user.email))
        record("user.unbanned", actor=by.id, target=user.id, reason=reason)
    return _as_stored(user, changed)


@transaction.atomic
def delete_account(user: User, *, by: User, reason: str) -> Deletion:
    """Begin the deletion of a customer's account, as they would by themselves: for who asks by mail, or is banned. They are
    mailed the link that keeps it.

    Raises ``CannotDeleteStaff``, ``AccountDeleted``, and the refusals of the apps that still need the account.
    """
    if user.is_staff:
        raise CannotDeleteStaff
    if (deletion := begin_deletion(user, by=by, reason=reason)) is None:
        raise AccountDeleted
    return deletion


@transaction.atomic
def revoke_sessions(user: User, *, by: User, reason: str = "") -> int:
    """Log a person out everywhere; return how many sessions that ended. Raises ``StaffAccount``."""
    _require_reach(user, by)
    User.objects.filter(pk=user.pk).update(token_epoch=F("token_epoch") + 1)
    ended = end_sessions(user)
    record("user.sessions_revoked", actor=by.id, target=user.id, reason=reason, sessions=ended)
    return ended


@transaction.atomic
def revoke_credentials(user: User, *, by: User, reason: str = "") -> int:
    """Revoke a person's long-lived credentials; return how many there were. Raises ``StaffAccount``."""
    _require_reach(user, by)
    return long_lived_credentials.revoke_long_lived_credentials(user, by=by.id, because=reason or "staff")


@transaction.atomic
def send_password_reset(user: User, *, by: User, reason: str = "") -> None:
    """Mail a person the link that sets a new password; staff never choose or see one.

    Raises ``StaffAccount``, ``AccountNotActive``.
    """
    _require_reach(user, by)
    if not user.is_active:
        raise AccountNotActive
    mail_reset_link(user, by=by.id, reason=reason)


@transaction.atomic
def reset_second_factor(user: User, *, by: User, reason: str = "") -> None:
    """Remove the second factor of a person who lost it, log them out everywhere and mail them.

    Raises ``CannotResetOwnFactor``, ``StaffAccount``, ``SecondFactorNotEnabled``.
    """
    if user == by:
        raise CannotResetOwnFactor
    _require_reach(user, by)
    second_factor.remove_second_factor(user)
    User.objects.filter(pk=user.pk).update(token_epoch=F("token_epoch") + 1)
    ended = end_sessions(user)
    record("mfa.reset", actor=by.id, target=user.id, reason=reason, sessions=ended)
    queue_mail(
        "mfa_reset",
        to=user.email,
        locale=user.locale,
        context=mail_values(user),
        dedupe_key=f"mfa_reset:{user.id}:{timezone.now().isoformat()}",
    )


@transaction.atomic
def add_note(user: User, *, by: User, text: str) -> UserNote:
    """Store a note about a person."""
    note = UserNote.objects.create(user=user, author=by, text=text)
    record("user.noted", actor=by.id, target=user.id, note=note.pk)
    return note


@transaction.atomic
def change_user_metadata(user: User, *, by: User, changes: Mapping[str, str], reason: str = "") -> dict[str, str]:
    """Merge ``changes`` into a customer's metadata and return all of it.

    Raises ``NotACustomer``, ``AccountDeleted``, ``Invalid``.
    """
    if user.is_staff:
        raise NotACustomer
    profile = Profile.objects.select_for_update(no_key=True).filter(user=user).first()
    if profile is None or user.status == User.Status.DELETED:
        raise AccountDeleted
    merged = merge_metadata(profile.metadata, changes)
    if keys := changed_keys(profile.metadata, merged):
        profile.metadata = merged
        profile.save(update_fields=["metadata", "updated_at"])
        record("user.metadata_changed", actor=by.id, target=user.id, reason=reason, keys=keys)
    return merged


@transaction.atomic
def set_roles(user: User, *, by: User, roles: Sequence[StaffRole], reason: str) -> list[StaffRole]:
    """Give a member of staff these roles instead of theirs; one who was a superuser has no more than they allow. Raises
    ``NotStaff``, ``LastAdmin``."""
    if not user.is_staff:
        raise NotStaff
    if StaffRole.ADMIN not in roles:
        _require_another_admin(user)
    stored = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    before = roles_of(stored)
    User.objects.filter(pk=user.pk).update(is_superuser=False, updated_at=timezone.now())
    _set_groups(user, roles)
    record(
        "staff.roles_changed",
        actor=by.id,
        target=user.id,
        reason=reason,
        roles=[role.value for role in roles],
        before=[role.value for role in before],
        was_superuser=stored.is_superuser,
    )
    user.refresh_from_db()
    return roles_of(user)


def _set_groups(user: User, roles: Sequence[StaffRole]) -> None:
    user.groups.set([Group.objects.get_or_create(name=role.value)[0] for role in roles])


def _require_another_admin(user: User) -> None:
    """Lock all admins, in the order of their keys: two who ban or demote each other at once are served one after the other.
    Raises ``LastAdmin``."""
    list(User.objects.admins().select_for_update(of=("self",)).order_by("pk"))
    # Asked again: what was waited for may have changed a group, which the locked rows do not show.
    if set(User.objects.admins().values_list("pk", flat=True)) == {user.pk}:
        raise LastAdmin


def _require_reach(user: User, by: User) -> None:
    if user.is_staff and not has_permission(by, StaffPermission.MANAGE_STAFF):
        raise StaffAccount


def _has_pending_deletion(user: User) -> bool:
    """Whether a deletion is pending. Lock it before the account, in the order of canceling and erasing, to exclude both."""
    return Deletion.objects.pending().select_for_update().filter(user=user).first() is not None


def _as_stored(user: User, changed: int) -> User:
    user.refresh_from_db()
    if not changed and user.status == User.Status.DELETED:
        raise AccountDeleted
    return user


@transaction.atomic
def resend_mail(mail: Mail, *, by: User, reason: str) -> Mail:
    """Raises ``MailNotResendable``."""
    again = mail_actions.resend_mail(mail)
    record("mail.resent", actor=by.pk, target=str(mail.pk), reason=reason, template=mail.template, again=again.pk)
    return again
