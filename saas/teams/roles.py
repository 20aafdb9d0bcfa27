"""Roles and permissions in a team: the one table that code, documentation (``saas/docs/teams.md``) and tests share."""

from collections.abc import Collection
from enum import StrEnum

from django.db import models


class Role(models.TextChoices):
    """From the highest to the lowest: a member cannot give, change or remove a role above their own."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


class Permission(StrEnum):
    VIEW_TEAM = "team.view"
    LEAVE_TEAM = "team.leave"
    CHANGE_TEAM = "team.rename"  # its name and its metadata
    TRANSFER_TEAM = "team.transfer"
    DELETE_TEAM = "team.delete"
    VIEW_MEMBERS = "members.view"
    MANAGE_MEMBERS = "members.manage"
    VIEW_INVITATIONS = "invitations.view"
    MANAGE_INVITATIONS = "invitations.manage"
    VIEW_API_KEYS = "api_keys.view"
    MANAGE_API_KEYS = "api_keys.manage"
    MANAGE_BILLING = "billing.manage"


class Scope(models.TextChoices):
    """What an API key may be used for. ``write`` includes ``read``."""

    READ = "read"
    WRITE = "write"


_ALL = frozenset(Role)
_MEMBERS = frozenset({Role.OWNER, Role.ADMIN, Role.MEMBER})
_ADMINS = frozenset({Role.OWNER, Role.ADMIN})
_OWNERS = frozenset({Role.OWNER})

ROLES_BY_PERMISSION: dict[StrEnum, frozenset[Role]] = {
    Permission.VIEW_TEAM: _ALL,
    Permission.LEAVE_TEAM: _ALL,
    Permission.CHANGE_TEAM: _ADMINS,
    Permission.TRANSFER_TEAM: _OWNERS,
    Permission.DELETE_TEAM: _OWNERS,
    Permission.VIEW_MEMBERS: _ALL,
    Permission.MANAGE_MEMBERS: _ADMINS,
    Permission.VIEW_INVITATIONS: _MEMBERS,
    Permission.MANAGE_INVITATIONS: _ADMINS,
    Permission.VIEW_API_KEYS: _MEMBERS,
    Permission.MANAGE_API_KEYS: _ADMINS,
    Permission.MANAGE_BILLING: _OWNERS,
}

# A key never touches keys, billing or ownership, whatever its scopes and its maker.
_READ = frozenset({Permission.VIEW_TEAM, Permission.VIEW_MEMBERS, Permission.VIEW_INVITATIONS})
_WRITE = _READ | {Permission.CHANGE_TEAM, Permission.MANAGE_MEMBERS, Permission.MANAGE_INVITATIONS}
PERMISSIONS_BY_SCOPE: dict[Scope, frozenset[StrEnum]] = {Scope.READ: _READ, Scope.WRITE: _WRITE}
MAX_API_KEY_ROLE = Role.ADMIN

_RANKS = {role: rank for rank, role in enumerate(reversed(Role))}


def declare_permission(permission: StrEnum, *, lowest_role: Role, scopes: Collection[Scope] = ()) -> None:
    """Add the permission of another module: for ``lowest_role`` and those above it, and for API keys with one of ``scopes``."""
    ROLES_BY_PERMISSION[permission] = frozenset(role for role in Role if is_at_least(role, lowest_role))
    for scope in scopes:
        PERMISSIONS_BY_SCOPE[scope] |= {permission}


def role_has_permission(role: str, permission: StrEnum) -> bool:
    return role in ROLES_BY_PERMISSION[permission]


def is_at_least(role: str, other: str) -> bool:
    """Whether ``role`` is at least as high as ``other``."""
    return _RANKS[Role(role)] >= _RANKS[Role(other)]


def lower_role(role: str, other: str) -> Role:
    return Role(other) if is_at_least(role, other) else Role(role)


def assignable_roles(role: str) -> list[Role]:
    """The roles that a member with ``role`` may give."""
    return [other for other in Role if is_at_least(role, other)]
