"""The permissions of each staff role: the one table that every staff endpoint and admin page checks.

A role is the name of a Django group. A person's roles are read from the database on every request and are never in a token,
so removing a role works at once. A superuser is an admin.
"""

from django.db.models import TextChoices

from saas.accounts.models import StaffRole, User


class StaffPermission(TextChoices):
    READ_USERS = "users.read"
    NOTE_USERS = "users.note"
    BAN_USERS = "users.ban"
    END_SESSIONS = "users.end-sessions"
    RECOVER_USERS = "users.recover"
    IMPERSONATE = "users.impersonate"
    IMPERSONATE_WRITE = "users.impersonate-write"
    READ_BILLING = "billing.read"
    GIVE_ACCESS = "billing.give"
    REFUND = "billing.refund"
    EDIT_CATALOGUE = "billing.catalogue"
    READ_METRICS = "metrics.read"
    READ_WEBHOOKS = "webhooks.read"
    REPLAY_WEBHOOKS = "webhooks.replay"
    READ_AUDIT = "audit.read"
    MANAGE_STAFF = "staff.manage"


_READ = {
    StaffPermission.READ_USERS,
    StaffPermission.READ_BILLING,
    StaffPermission.READ_METRICS,
    StaffPermission.READ_WEBHOOKS,
}
_SUPPORT = {
    StaffPermission.NOTE_USERS,
    StaffPermission.BAN_USERS,
    StaffPermission.END_SESSIONS,
    StaffPermission.RECOVER_USERS,
    StaffPermission.IMPERSONATE,
    StaffPermission.GIVE_ACCESS,
    StaffPermission.REPLAY_WEBHOOKS,
}

ROLE_PERMISSIONS: dict[StaffRole, frozenset[StaffPermission]] = {
    StaffRole.ADMIN: frozenset(StaffPermission),
    StaffRole.SUPPORT_WRITE: frozenset(_READ | _SUPPORT),
    StaffRole.SUPPORT_READ: frozenset(_READ),
    StaffRole.AUDITOR: frozenset(_READ | {StaffPermission.READ_AUDIT}),
}


def roles_of(user: User) -> list[StaffRole]:
    """Return the roles of a member of staff, highest first; empty for customers. One query, none for a superuser."""
    if not user.is_staff:
        return []
    if user.is_superuser:
        return [StaffRole.ADMIN]
    held = set(user.groups.values_list("name", flat=True))
    return [role for role in StaffRole if role in held]


def permissions_of(user: User) -> frozenset[StaffPermission]:
    """Everything that the roles of ``user`` allow."""
    return permissions_of_roles(roles_of(user))


def permissions_of_roles(roles: list[StaffRole]) -> frozenset[StaffPermission]:
    """Everything that ``roles`` allow."""
    return frozenset().union(*(ROLE_PERMISSIONS[role] for role in roles))


def has_permission(user: User, permission: StaffPermission) -> bool:
    return permission in permissions_of(user)
