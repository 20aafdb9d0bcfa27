"""Users and how they log in: one module per subject. Import models from here."""

from saas.accounts.models.deletions import Deletion, DeletionQuerySet
from saas.accounts.models.failed_attempts import FailedAttempts
from saas.accounts.models.impersonations import Impersonation, ImpersonationQuerySet
from saas.accounts.models.oauth import OAuthIdentity, OAuthIdentityQuerySet, OAuthState
from saas.accounts.models.one_time_tokens import OneTimeToken, OneTimeTokenQuerySet, ResetRequest
from saas.accounts.models.second_factor import PendingLogin, PendingLoginQuerySet, RecoveryCode, Totp, TotpQuerySet
from saas.accounts.models.sessions import (
    Audience,
    LoginSession,
    LoginSessionQuerySet,
    RefreshToken,
    RefreshTokenQuerySet,
    new_session_id,
)
from saas.accounts.models.users import Profile, StaffRole, User, UserManager, UserNote, UserQuerySet

__all__ = [
    "Audience",
    "Deletion",
    "DeletionQuerySet",
    "FailedAttempts",
    "Impersonation",
    "ImpersonationQuerySet",
    "LoginSession",
    "LoginSessionQuerySet",
    "OAuthIdentity",
    "OAuthIdentityQuerySet",
    "OAuthState",
    "OneTimeToken",
    "OneTimeTokenQuerySet",
    "PendingLogin",
    "PendingLoginQuerySet",
    "Profile",
    "RecoveryCode",
    "RefreshToken",
    "RefreshTokenQuerySet",
    "ResetRequest",
    "StaffRole",
    "Totp",
    "TotpQuerySet",
    "User",
    "UserManager",
    "UserNote",
    "UserQuerySet",
    "new_session_id",
]
