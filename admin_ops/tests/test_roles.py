"""The permissions of each role are those that staff.md lists."""

import re
from pathlib import Path

from saas.accounts.models import StaffRole
from saas.accounts.staff.staff_roles import ROLE_PERMISSIONS, StaffPermission

DOCUMENT = Path(__file__).resolve().parents[2] / "saas/docs/staff.md"


def test_the_document_lists_the_permissions_of_every_role():
    text = DOCUMENT.read_text(encoding="utf-8")
    header = re.search(r"^\| permission \|(.*)\|$", text, re.MULTILINE)
    roles = [StaffRole(name.strip()) for name in header.group(1).split("|")]
    rows = re.findall(r"^\| `([a-z.-]+)` \|(.*)\|$", text, re.MULTILINE)

    written = {
        (role, StaffPermission(name))
        for name, cells in rows
        for role, cell in zip(roles, cells.split("|"), strict=True)
        if cell.strip() == "yes"
    }

    assert [StaffPermission(name) for name, _ in rows] == list(StaffPermission)
    assert written == {(role, permission) for role, held in ROLE_PERMISSIONS.items() for permission in held}
