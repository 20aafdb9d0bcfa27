"""The permission table, and that the documentation shows it."""

from enum import StrEnum
from pathlib import Path

import pytest

from saas.operations.app_discovery import added_module_files
from saas.teams import roles
from saas.teams.roles import Permission, Role, Scope

DOCUMENT = Path(__file__).parents[2] / "docs" / "teams.md"


def test_the_documentation_shows_the_table_that_the_code_uses() -> None:
    rows = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("|")]

    assert rows[0] == "| permission | owner | admin | member | viewer | key: read | key: write |"
    assert rows[2 : 2 + len(Permission)] == [_row(permission) for permission in Permission]
    assert sorted(rows[2 + len(Permission) :]) == sorted(_row(permission) for permission in _of_added_modules())


def _of_added_modules() -> set[StrEnum]:
    tuple(added_module_files("saas", "permissions"))  # imported, they are declared
    return set(roles.ROLES_BY_PERMISSION) - set(Permission)


def _row(permission: StrEnum) -> str:
    by_role = [roles.role_has_permission(role, permission) for role in Role]
    by_scope = [permission in roles.PERMISSIONS_BY_SCOPE[scope] for scope in Scope]
    return f"| {permission} |" + "".join(" yes |" if allowed else " |" for allowed in by_role + by_scope)


@pytest.mark.parametrize(("higher", "lower"), [("owner", "admin"), ("admin", "member"), ("member", "viewer")])
def test_a_higher_role_has_all_permissions_of_a_lower_one(higher: str, lower: str) -> None:
    def permissions(role: str) -> set[Permission]:
        return {permission for permission in Permission if roles.role_has_permission(role, permission)}

    assert permissions(lower) <= permissions(higher)
    assert roles.is_at_least(higher, lower)
    assert not roles.is_at_least(lower, higher)


def test_no_scope_of_a_key_reaches_keys_ownership_or_billing() -> None:
    every_scope = frozenset().union(*roles.PERMISSIONS_BY_SCOPE.values())

    assert every_scope.isdisjoint(
        {
            Permission.VIEW_API_KEYS,
            Permission.MANAGE_API_KEYS,
            Permission.TRANSFER_TEAM,
            Permission.DELETE_TEAM,
            Permission.LEAVE_TEAM,
            Permission.MANAGE_BILLING,
        }
    )
