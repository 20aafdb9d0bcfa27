"""Rows as the plain dictionaries that go out. (A serializer would cost 1.5 ms each; ``serializers.py`` documents these.)"""

from typing import Any

from saas.accounts.disavowal import VerificationPreview
from saas.accounts.models import Impersonation, LoginSession, OAuthIdentity, Profile, User
from saas.accounts.sessions.logins import Login, PendingMfa
from saas.accounts.sessions.long_lived_credentials import Credential


def user(row: User) -> dict[str, Any]:
    return {
        "id": row.id,
        "email": row.email,
        "full_name": row.full_name,
        "locale": row.locale,
        "status": row.status,
        "is_verified": row.is_verified,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def tokens(login: Login) -> dict[str, Any]:
    return {
        "access_token": login.access_token,
        "token_type": "bearer",
        "expires_in": login.expires_in_seconds,
        "refresh_token": login.refresh_token,
    }


def login(result: Login) -> dict[str, Any]:
    return {"user": user(result.user), **tokens(result), "session_id": result.session.sid}


def half_login(result: PendingMfa) -> dict[str, Any]:
    return {"mfa_required": True, "mfa_token": result.mfa_token}


def session(row: LoginSession, current: LoginSession) -> dict[str, Any]:
    return {
        "id": row.sid,
        "agent": row.agent,
        "address": row.address,
        "created_at": row.created_at,
        "last_seen_at": row.last_seen_at,
        "current": row.pk == current.pk,
    }


def credential(row: Credential) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "id": row.id,
        "name": row.name,
        "team_id": row.team_id,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "last_used_at": row.last_used_at,
    }


def claim(row: VerificationPreview) -> dict[str, Any]:
    account = {"full_name": row.full_name, "email": row.account_email, "registered_at": row.registered_at}
    return {"purpose": "change" if row.is_change else "verify", "email": row.email, "account": account}


def impersonation(row: Impersonation | None) -> dict[str, Any] | None:
    """Who acts in the customer's name, and why."""
    if row is None or row.staff_session.user is None:
        return None
    return {"by": row.staff_session.user.email, "reason": row.reason, "expires_at": row.ends_at}


def profile(row: Profile) -> dict[str, Any]:
    return {
        "user_id": row.user_id,
        "display_name": row.display_name,
        "avatar_url": row.avatar_url,
        "timezone": row.timezone,
        "biography": row.biography,
        "social_links": row.social_links,
        "marketing_opt_in": row.marketing_opt_in,
        "visibility": row.visibility,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def identity(row: OAuthIdentity) -> dict[str, Any]:
    return {
        "provider": row.provider,
        "email": row.email,
        "created_at": row.created_at,
        "last_login_at": row.last_login_at,
    }
