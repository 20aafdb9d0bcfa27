"""Who may do what in a team: the one table that the code, the documentation (``saas/docs/teams.md``) and the tests share."""

from enum import StrEnum

from django.db import models


class Role(models.TextChoices):
    """From the highest to the lowest: nobody gives, changes or takes a role above her own."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


class Permission(StrEnum):
    VIEW_TEAM = "team.view"
    LEAVE_TEAM = "team.leave"
    RENAME_TEAM = "team.rename"
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


_EVERYBODY = frozenset(Role)
_WORKERS = frozenset({Role.OWNER, Role.ADMIN, Role.MEMBER})
_LEADERS = frozenset({Role.OWNER, Role.ADMIN})
_OWNERS = frozenset({Role.OWNER})

GRANTS: dict[Permission, frozenset[Role]] = {
    Permission.VIEW_TEAM: _EVERYBODY,
    Permission.LEAVE_TEAM: _EVERYBODY,
    Permission.RENAME_TEAM: _LEADERS,
    Permission.TRANSFER_TEAM: _OWNERS,
    Permission.DELETE_TEAM: _OWNERS,
    Permission.VIEW_MEMBERS: _EVERYBODY,
    Permission.MANAGE_MEMBERS: _LEADERS,
    Permission.VIEW_INVITATIONS: _WORKERS,
    Permission.MANAGE_INVITATIONS: _LEADERS,
    Permission.VIEW_API_KEYS: _WORKERS,
    Permission.MANAGE_API_KEYS: _LEADERS,
    Permission.MANAGE_BILLING: _OWNERS,
}

# A key never touches keys, billing or ownership, whatever its scopes and whoever made it.
_READ = frozenset({Permission.VIEW_TEAM, Permission.VIEW_MEMBERS, Permission.VIEW_INVITATIONS})
_WRITE = _READ | {Permission.RENAME_TEAM, Permission.MANAGE_MEMBERS, Permission.MANAGE_INVITATIONS}
SCOPES: dict[Scope, frozenset[Permission]] = {Scope.READ: _READ, Scope.WRITE: _WRITE}
HIGHEST_ROLE_OF_A_KEY = Role.ADMIN

_RANKS = {role: rank for rank, role in enumerate(reversed(Role))}


def grants(role: str, permission: Permission) -> bool:
    """Whether somebody of this role has the permission."""
    return role in GRANTS[permission]


def reaches(role: str, other: str) -> bool:
    """Whether ``role`` is at least as high as ``other``."""
    return _RANKS[Role(role)] >= _RANKS[Role(other)]


def lower(role: str, other: str) -> Role:
    """The lower of two roles."""
    return Role(other) if reaches(role, other) else Role(role)


def assignable(role: str) -> list[Role]:
    """The roles that somebody of ``role`` may give."""
    return [other for other in Role if reaches(role, other)]
