"""How long the rows of accounts are kept, and those of Django's own tables."""

from datetime import datetime, timedelta

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db.models import Exists, OuterRef, Q

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
from saas.accounts.passwords.login_throttle import LONGEST_BLOCK, WINDOW
from saas.operations.retention.rules import delete_older, delete_when, delete_with, is_past, keep

ENDED = timedelta(days=30)  # how long support may want to see what has ended
ADMIN_LOG = timedelta(days=400)


def _one_time_token_expired(now: datetime) -> Q:
    """Keep used VERIFY links and all CHANGE links: they tell an export and an erasure which addresses the account had."""
    proves_address = Q(purpose=OneTimeToken.Purpose.VERIFY, used_at__isnull=False)
    return Q(expires_at__lt=now - ENDED) & ~(proves_address | Q(purpose=OneTimeToken.Purpose.CHANGE))


def _session_expired(now: datetime) -> Q:
    """Sessions of an impersonation stay: who acted in whose name is kept."""
    impersonations = Impersonation.objects.filter(Q(session=OuterRef("pk")) | Q(staff_session=OuterRef("pk")))
    has_ended = Q(ends_at__lt=now - ENDED) | Q(revoked_at__lt=now - ENDED) | Q(user=None, expire_date__lt=now)
    return has_ended & Q(~Exists(impersonations))


delete_when(OAuthState, is_past("expires_at"))
delete_when(PendingLogin, is_past("expires_at"))
delete_when(FailedAttempts, is_past("last_at", WINDOW + LONGEST_BLOCK))
delete_when(ResetRequest, is_past("handled_at", ENDED))
delete_when(OneTimeToken, _one_time_token_expired)
delete_when(RefreshToken, is_past("expires_at"))  # used ones stay until then, so that a replay is noticed
delete_when(LoginSession, _session_expired)
delete_older(LogEntry, "action_time", ADMIN_LOG)

keep(User, reason="An account is erased when its owner wants it, and its row stays: others refer to it.")
keep(Deletion, reason="It shows that an account was erased, and when.")
keep(UserNote, reason="Staff's notes about an account are erased with it.")
keep(Impersonation, reason="Who of the staff acted in whose name is never forgotten.")
delete_with(Profile, "user")
delete_with(OAuthIdentity, "user")
delete_with(Totp, "user")
delete_with(RecoveryCode, "user")
delete_with(User.groups.through, "user", "group")
delete_with(User.user_permissions.through, "user", "permission")

keep(Group, reason="One row for each role of staff.")
keep(Permission, reason="A few rows for each table, made by migrations.")
keep(ContentType, reason="One row for each table, made by migrations.")
delete_with(Group.permissions.through, "group", "permission")
