"""The permissions of each staff role: the one table that every staff endpoint and admin page checks.

A role is the name of a Django group. A person's roles are read from the database on every request and are never in a token,
so removing a role works at once. A superuser is an admin.
"""

from django.db.models import TextChoices

from saas.accounts.models import Role, User


class Permission(TextChoices):
    READ_USERS = "users.read"
    NOTE_USERS = "users.note"
    BAN_USERS = "users.ban"
    END_SESSIONS = "users.end-sessions"
    RECOVER_USERS = "users.recover"
    IMPERSONATE = "users.impersonate"
    IMPERSONATE_WRITE = "users.impersonate-write"
    READ_BILLING = "billing.read"
    GIVE_ACCESS = "billing.give"
    READ_METRICS = "metrics.read"
    READ_WEBHOOKS = "webhooks.read"
    REPLAY_WEBHOOKS = "webhooks.replay"
    READ_AUDIT = "audit.read"
    MANAGE_STAFF = "staff.manage"


_READ = {Permission.READ_USERS, Permission.READ_BILLING, Permission.READ_METRICS, Permission.READ_WEBHOOKS}
_SUPPORT = {
    Permission.NOTE_USERS,
    Permission.BAN_USERS,
    Permission.END_SESSIONS,
    Permission.RECOVER_USERS,
    Permission.IMPERSONATE,
    Permission.GIVE_ACCESS,
    Permission.REPLAY_WEBHOOKS,
}

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.ADMIN: frozenset(Permission),
    Role.SUPPORT_WRITE: frozenset(_READ | _SUPPORT),
    Role.SUPPORT_READ: frozenset(_READ),
    Role.AUDITOR: frozenset(_READ | {Permission.READ_AUDIT}),
}


def roles_of(user: User) -> list[Role]:
    """Return the roles of a member of staff, highest first; empty for customers. One query, none for a superuser."""
    if not user.is_staff:
        return []
    if user.is_superuser:
        return [Role.ADMIN]
    held = set(user.groups.values_list("name", flat=True))
    return [role for role in Role if role in held]


def permissions_of(user: User) -> frozenset[Permission]:
    """Everything that the roles of ``user`` allow."""
    return permissions_of_roles(roles_of(user))


def permissions_of_roles(roles: list[Role]) -> frozenset[Permission]:
    """Everything that ``roles`` allow."""
    return frozenset().union(*(ROLE_PERMISSIONS[role] for role in roles))


def has_permission(user: User, permission: Permission) -> bool:
    return permission in permissions_of(user)
