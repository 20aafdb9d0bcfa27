"""Register what accounts, mails and the audit trail hold about a person."""

from collections.abc import Iterable
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import make_password
from django.db.models import QuerySet
from django.utils import timezone

from saas.accounts.email_addresses import canonical_email
from saas.accounts.models import (
    Deletion,
    FailedAttempts,
    Impersonation,
    LoginSession,
    OAuthIdentity,
    OAuthState,
    OneTimeToken,
    PendingLogin,
    Profile,
    RecoveryCode,
    RefreshToken,
    ResetRequest,
    Totp,
    User,
    UserNote,
)
from saas.accounts.passwords import login_throttle
from saas.accounts.privacy.data_sources import (
    Exempt,
    delete_rows,
    export_fields,
    export_row,
    register_audited_ids,
    register_personal_data,
    rows_of,
)
from saas.accounts.privacy.free_text import register_free_text
from saas.accounts.privacy.personal_values import PersonalValues, proven_addresses_of
from saas.audit.models import AuditEvent, AuditPersonalData
from saas.mail.models import Mail

ERASED_EMAIL_DOMAIN = "deleted.invalid"  # a domain that can never exist (RFC 2606)
_SECRET = Exempt("It is a hash or an encrypted secret, and says nothing about the person.")
_WITH_ITS_SESSION = Exempt("It is deleted with its session.")
_STAFF_ONLY = Exempt("Only staff have any, and their accounts are not deleted here.")
_ACCOUNT_FIELDS = (
    "id", "email", "full_name", "locale", "status", "status_reason", "email_verified_at", "last_login", "created_at",
    "updated_at",
)  # fmt: skip
_PROFILE_FIELDS = [field.attname for field in Profile._meta.concrete_fields if field.name != "user"]


def erased_email(user: User) -> str:
    """The address that stands in the place of an erased one."""
    return f"{user.id}@{ERASED_EMAIL_DOMAIN}"


def _erase_account(user: User, values: PersonalValues) -> None:
    """Keep the row, to which others refer; its address becomes free."""
    email = erased_email(user)
    User.objects.filter(pk=user.pk).update(
        email=email,
        email_canonical=canonical_email(email),
        email_verified_at=None,
        full_name="",
        locale="en",
        status=User.Status.DELETED,  # also of a banned account
        status_reason="",
        password=make_password(None),
        last_login=None,
        updated_at=timezone.now(),
    )


def _reset_requests(user: User) -> QuerySet[ResetRequest]:
    return ResetRequest.objects.filter(email=user.email_canonical)


def _erase_reset_requests(user: User, values: PersonalValues) -> None:
    ResetRequest.objects.filter(email__in={canonical_email(email) for email in values.emails}).delete()


def _erase_mails(user: User, values: PersonalValues) -> None:
    Mail.objects.addressed_to(values.emails).delete()


def _erase_failed_attempts(user: User, values: PersonalValues) -> None:
    keys = {login_throttle.password_key(email) for email in values.emails}
    FailedAttempts.objects.filter(key__in={*keys, login_throttle.second_factor_key(user.id)}).delete()


def _mails(user: User) -> QuerySet[Mail]:
    return Mail.objects.addressed_to(proven_addresses_of(user))


def _export_audit_events(user: User) -> list[dict[str, Any]]:
    """Export the person's audit events without the names of the staff who acted."""
    events = AuditEvent.objects.involving(user.id).order_by("pk")
    return [
        {
            "at": event.at,
            "action": event.action,
            "by": {user.id: "you", "system": "system"}.get(event.actor, "staff"),
            "target": event.target,
            "reason": event.reason,
            "address": event.address if event.actor == user.id else "",
        }
        for event in events.iterator()
    ]


register_personal_data(
    User,
    "id",
    "email",
    "email_canonical",
    "full_name",
    name="account",
    export=lambda user: export_row(User.objects.filter(pk=user.pk), *_ACCOUNT_FIELDS),
    erase=_erase_account,
)
register_personal_data(
    Profile,
    "user",
    "display_name",
    name="profile",
    export=lambda user: export_row(Profile.objects.filter(user=user), *_PROFILE_FIELDS),
    erase=delete_rows(rows_of(Profile)),
)
register_personal_data(
    UserNote,
    "user",
    name="notes",
    export=export_fields(rows_of(UserNote), "text", "created_at"),
    erase=delete_rows(rows_of(UserNote)),
)
register_personal_data(UserNote, "author", name="notes_written", export=_STAFF_ONLY, erase=_STAFF_ONLY)
register_personal_data(LogEntry, "user", name="django_admin", export=_STAFF_ONLY, erase=_STAFF_ONLY)
register_personal_data(
    LoginSession,
    "user",
    "address",
    "agent",
    name="sessions",
    export=export_fields(
        rows_of(LoginSession),
        *("sid", "address", "agent", "methods", "created_at", "last_seen_at", "revoked_at"),
        order_by="created_at",
    ),
    erase=delete_rows(rows_of(LoginSession)),
)
register_personal_data(RefreshToken, "session", name="refresh_tokens", export=_SECRET, erase=_WITH_ITS_SESSION)
register_personal_data(OAuthState, "session", name="sign_ins_under_way", export=_SECRET, erase=_WITH_ITS_SESSION)
register_personal_data(
    Impersonation,
    "session",
    name="impersonations",
    export=export_fields(
        rows_of(Impersonation, "session__user"), "reason", "ticket", "may_write", "started_at", "ends_at", "ended_at"
    ),
    erase=_WITH_ITS_SESSION,
)
register_personal_data(Impersonation, "staff_session", name="impersonations_by", export=_STAFF_ONLY, erase=_STAFF_ONLY)
register_personal_data(
    OAuthIdentity,
    "user",
    "email",
    name="identities",
    export=export_fields(rows_of(OAuthIdentity), "provider", "subject", "email", "created_at", "last_login_at"),
    erase=delete_rows(rows_of(OAuthIdentity)),
)
register_personal_data(
    OneTimeToken,
    "user",
    "email",
    name="mailed_links",
    export=export_fields(rows_of(OneTimeToken), "purpose", "email", "created_at", "used_at"),
    erase=delete_rows(rows_of(OneTimeToken)),
)
register_personal_data(
    ResetRequest,
    "email",
    "address",
    name="resets",
    export=export_fields(_reset_requests, "email", "address", "created_at"),
    erase=_erase_reset_requests,
)
register_personal_data(
    Totp,
    "user",
    name="second_factor",
    export=lambda user: export_row(Totp.objects.filter(user=user), "confirmed_at"),
    erase=delete_rows(rows_of(Totp)),
)
register_personal_data(
    RecoveryCode, "user", name="recovery_codes", export=_SECRET, erase=delete_rows(rows_of(RecoveryCode))
)
register_personal_data(
    PendingLogin, "user", name="pending_logins", export=_SECRET, erase=delete_rows(rows_of(PendingLogin))
)
register_personal_data(
    FailedAttempts,
    "key",
    name="failed_attempts",
    export=_SECRET,
    erase=_erase_failed_attempts,
)
register_personal_data(
    Deletion,
    "user",
    name="deletion",
    export=Exempt("A person whose account is being deleted is logged out."),
    erase=Exempt("It says that the account was erased, and when."),
)
register_personal_data(
    Mail,
    "recipient",
    name="mails",
    export=export_fields(_mails, "template", "recipient", "created_at", "sent_at"),
    erase=_erase_mails,
)
register_personal_data(
    AuditEvent,
    "actor",
    "act_as",
    "target",
    "plain_address",
    name="security_log",
    export=_export_audit_events,
    erase=Exempt(
        "Audit events are never deleted. They name people by ids, which lead to nothing after the erasure. Those of "
        "before there were signatures hold address and reason themselves, until they are retired."
    ),
)
register_personal_data(
    AuditPersonalData,
    "address",
    name="security_log_values",
    export=Exempt("The security log shows them."),
    erase=Exempt("They are erased with the record of the erasure, which names their events."),
)


@register_audited_ids
def _sessions(user: User) -> Iterable[str]:
    return LoginSession.objects.filter(user=user).values_list("sid", flat=True)


register_free_text(User, "status_reason")
register_free_text(Profile, "metadata")
register_free_text(UserNote, "text")
register_free_text(Impersonation, "reason", "ticket")
register_free_text(Mail, "context", "last_error")
