"""Rows as the plain dictionaries that go out."""

from typing import Any

from saas.teams.models import ApiKey, Invitation, Membership


def team(row: Membership) -> dict[str, Any]:
    """A team as one of its members sees it: ``role`` is hers."""
    return {
        "id": row.team.id,
        "name": row.team.name,
        "owner_user_id": row.team.owner_id,
        "role": row.role,
        "created_at": row.team.created_at,
    }


def member(row: Membership) -> dict[str, Any]:
    return {
        "user_id": row.user_id,
        "email": row.user.email,
        "full_name": row.user.full_name,
        "role": row.role,
        "joined_at": row.created_at,
    }


def invitation(row: Invitation) -> dict[str, Any]:
    return {
        "id": row.id,
        "team_id": row.team_id,
        "email": row.email,
        "role": row.role,
        "status": "expired" if row.is_expired else "pending",
        "invited_by": row.invited_by_id,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
    }


def api_key(row: ApiKey) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "prefix": row.prefix,
        "scopes": row.scopes.split(),
        "created_by": row.created_by_id,
        "created_by_email": row.created_by.email,
        "created_by_name": row.created_by.full_name,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "last_used_at": row.last_used_at,
    }
