"""What accounts, and the mails and the trail below them, hold about a person."""

from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import make_password
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
    email_addresses_of,
    export_row,
    export_rows,
    register_personal_data,
)
from saas.audit.models import AuditEvent
from saas.mail.models import Mail

ERASED_EMAIL_DOMAIN = "deleted.invalid"  # a domain that can never be (RFC 2606)
_A_SECRET = Exempt("It is a hash or an encrypted secret, and says nothing about her.")
_WITH_ITS_SESSION = Exempt("It goes with its session.")
_STAFF_ONLY = Exempt("Only staff have any, and their accounts are not given up here.")


def _account(user: User) -> Any:
    fields = ["id", "email", "full_name", "locale", "status", "status_reason", "email_verified_at", "last_login"]
    return export_row(User.objects.filter(pk=user.pk), *fields, "created_at", "updated_at")


def erased_email(user: User) -> str:
    """What stands in the place of an address that is forgotten."""
    return f"{user.id}@{ERASED_EMAIL_DOMAIN}"


def _forget_account(user: User) -> None:
    """The row stays as what others refer to. Its address is free again."""
    email = erased_email(user)
    User.objects.filter(pk=user.pk).update(
        email=email,
        email_canonical=canonical_email(email),
        email_verified_at=None,
        full_name="",
        locale="en",
        status=User.Status.DELETED,  # a banned account, too
        status_reason="",
        password=make_password(None),
        last_login=None,
        updated_at=timezone.now(),
    )


def _profile(user: User) -> Any:
    fields = [field.attname for field in Profile._meta.concrete_fields if field.name != "user"]
    return export_row(Profile.objects.filter(user=user), *fields)


def _forget_profile(user: User) -> None:
    Profile.objects.filter(user=user).delete()


def _notes(user: User) -> Any:
    return export_rows(UserNote.objects.filter(user=user), "text", "created_at")


def _forget_notes(user: User) -> None:
    UserNote.objects.filter(user=user).delete()


def _sessions(user: User) -> Any:
    fields = ["sid", "address", "agent", "methods", "created_at", "last_seen_at", "revoked_at"]
    return list(LoginSession.objects.filter(user=user).order_by("created_at").values(*fields))


def _forget_sessions(user: User) -> None:
    LoginSession.objects.filter(user=user).delete()


def _impersonations(user: User) -> Any:
    mine = Impersonation.objects.filter(session__user=user)
    return export_rows(mine, "reason", "ticket", "may_write", "started_at", "ends_at", "ended_at")


def _identities(user: User) -> Any:
    return export_rows(
        OAuthIdentity.objects.filter(user=user), "provider", "subject", "email", "created_at", "last_login_at"
    )


def _forget_identities(user: User) -> None:
    OAuthIdentity.objects.filter(user=user).delete()


def _links(user: User) -> Any:
    return export_rows(OneTimeToken.objects.filter(user=user), "purpose", "email", "created_at", "used_at")


def _forget_links(user: User) -> None:
    OneTimeToken.objects.filter(user=user).delete()


def _reset_requests(user: User) -> Any:
    return export_rows(ResetRequest.objects.filter(email=user.email_canonical), "email", "address", "created_at")


def _forget_reset_requests(user: User) -> None:
    ResetRequest.objects.filter(email=user.email_canonical).delete()


def _second_factor(user: User) -> Any:
    return export_row(Totp.objects.filter(user=user), "confirmed_at")


def _forget_second_factor(user: User) -> None:
    Totp.objects.filter(user=user).delete()


def _forget_recovery_codes(user: User) -> None:
    RecoveryCode.objects.filter(user=user).delete()


def _forget_pending_logins(user: User) -> None:
    PendingLogin.objects.filter(user=user).delete()


def _forget_attempts(user: User) -> None:
    keys = [login_throttle.password_key(user.email), login_throttle.second_factor_key(user.id)]
    FailedAttempts.objects.filter(key__in=keys).delete()


def _mails(user: User) -> Any:
    return export_rows(
        Mail.objects.filter(recipient__in=email_addresses_of(user)), "template", "recipient", "created_at", "sent_at"
    )


def _forget_mails(user: User) -> None:
    Mail.objects.filter(recipient__in=email_addresses_of(user)).delete()


def _trail(user: User) -> Any:
    """Who of the staff acted is not told by name."""
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
    User, "id", "email", "email_canonical", "full_name", name="account", export=_account, erase=_forget_account
)
register_personal_data(Profile, "user", "display_name", name="profile", export=_profile, erase=_forget_profile)
register_personal_data(UserNote, "user", name="notes", export=_notes, erase=_forget_notes)
register_personal_data(UserNote, "author", name="notes_written", export=_STAFF_ONLY, erase=_STAFF_ONLY)
register_personal_data(LogEntry, "user", name="django_admin", export=_STAFF_ONLY, erase=_STAFF_ONLY)
register_personal_data(
    LoginSession, "user", "address", "agent", name="sessions", export=_sessions, erase=_forget_sessions
)
register_personal_data(RefreshToken, "session", name="refresh_tokens", export=_A_SECRET, erase=_WITH_ITS_SESSION)
register_personal_data(OAuthState, "session", name="sign_ins_under_way", export=_A_SECRET, erase=_WITH_ITS_SESSION)
register_personal_data(Impersonation, "session", name="impersonations", export=_impersonations, erase=_WITH_ITS_SESSION)
register_personal_data(Impersonation, "staff_session", name="impersonations_by", export=_STAFF_ONLY, erase=_STAFF_ONLY)
register_personal_data(OAuthIdentity, "user", "email", name="identities", export=_identities, erase=_forget_identities)
register_personal_data(OneTimeToken, "user", "email", name="mailed_links", export=_links, erase=_forget_links)
register_personal_data(
    ResetRequest, "email", "address", name="resets", export=_reset_requests, erase=_forget_reset_requests
)
register_personal_data(Totp, "user", name="second_factor", export=_second_factor, erase=_forget_second_factor)
register_personal_data(RecoveryCode, "user", name="recovery_codes", export=_A_SECRET, erase=_forget_recovery_codes)
register_personal_data(PendingLogin, "user", name="pending_logins", export=_A_SECRET, erase=_forget_pending_logins)
register_personal_data(FailedAttempts, "key", name="failed_attempts", export=_A_SECRET, erase=_forget_attempts)
register_personal_data(
    Deletion,
    "user",
    name="deletion",
    export=Exempt("Whoever gave up her account is logged out."),
    erase=Exempt("It says that the account was erased, and when."),
)
register_personal_data(Mail, "recipient", name="mails", export=_mails, erase=_forget_mails)
register_personal_data(
    AuditEvent,
    "actor",
    "act_as",
    "target",
    "address",
    name="security_log",
    export=_trail,
    erase=Exempt("The trail only grows. It names people by ids, which lead nowhere afterwards."),
)
