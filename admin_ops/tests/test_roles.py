"""The permissions of each role are those that staff.md lists, and an admin changes who has it."""

import re
from pathlib import Path

import pytest

from admin_ops.tests.pages import open_admin_site
from saas.accounts.models import StaffRole, User
from saas.accounts.staff.staff_roles import ROLE_PERMISSIONS, StaffPermission
from saas.audit.models import AuditEvent
from saas.testing.factories import user_factories

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


# ── Who has them ─────────────────────────────────────────────────────────────────────────────────────────────────────


def set_roles(admin_ops, by, person, *roles):
    body = {"roles": list(roles), "reason": "changed desks"}
    return admin_ops.put(f"/api/admin/users/{person.user.pk}/roles", body, token=by.token)


@pytest.fixture
def colleague(db):
    return user_factories.create_staff_member("", StaffRole.SUPPORT_WRITE)


def test_a_changed_role_counts_from_the_next_request_on(admin_ops, staff_member, colleague):
    answer = set_roles(admin_ops, staff_member, colleague, "auditor")

    assert (answer.status_code, answer.json()) == (200, {"role": "auditor", "roles": ["auditor"]})
    assert admin_ops.get("/api/admin/auth/me", token=colleague.token).json()["roles"] == ["auditor"]
    assert admin_ops.get("/api/admin/audit", token=colleague.token).status_code == 200
    event = AuditEvent.objects.get(action="staff.roles_changed")
    assert (event.actor, event.target, event.reason) == (staff_member.user.pk, colleague.user.pk, "changed desks")
    assert event.data == {"roles": ["auditor"], "before": ["support-write"], "was_superuser": False}


def test_a_superuser_has_no_more_than_the_roles_that_are_set(admin_ops, staff_member):
    root = user_factories.create_staff_member()

    assert set_roles(admin_ops, staff_member, root, "support-read").json()["roles"] == ["support-read"]
    assert User.objects.get(pk=root.user.pk).is_superuser is False
    assert AuditEvent.objects.get(action="staff.roles_changed").data["was_superuser"] is True


def test_the_last_admin_stays_one(admin_ops, staff_member, colleague):
    answer = set_roles(admin_ops, staff_member, staff_member, "auditor")

    assert (answer.status_code, answer.json()["code"]) == (409, "last_admin")
    assert admin_ops.get("/api/admin/auth/me", token=staff_member.token).json()["roles"] == ["admin"]
    assert not AuditEvent.objects.filter(action="staff.roles_changed").exists()


def test_an_admin_gives_the_office_away_when_there_is_another(admin_ops, staff_member, colleague):
    assert set_roles(admin_ops, staff_member, colleague, "admin", "auditor").json()["role"] == "admin"
    assert set_roles(admin_ops, staff_member, staff_member, "auditor").status_code == 200


def test_roles_are_staffs_and_are_set_by_admins(admin_ops, staff_member, colleague, customer):
    of_customer = set_roles(admin_ops, staff_member, customer, "auditor")
    by_support = set_roles(admin_ops, colleague, colleague, "admin")
    none, unknown = set_roles(admin_ops, staff_member, colleague), set_roles(admin_ops, staff_member, colleague, "root")

    assert (of_customer.status_code, of_customer.json()["code"]) == (409, "not_staff")
    assert [answer.status_code for answer in (by_support, none, unknown)] == [403, 422, 422]
    assert set(User.objects.get(pk=colleague.user.pk).groups.values_list("name", flat=True)) == {"support-write"}


def test_the_page_shows_the_roles_and_sets_others(admin_ops, staff_member, colleague):
    site = open_admin_site(admin_ops, staff_member)
    page = f"/admin/accounts/user/{colleague.user.pk}/do/roles/"

    shown = site.get(page).content.decode()
    done = site.submit_form(page, {"roles": ["support-read", "auditor"], "reason": "changed desks"})

    checked = re.findall(r'<input[^>]*value="([a-z-]+)"[^>]* checked[ >]', shown)
    assert (checked, done.status_code) == (["support-write"], 302)
    assert admin_ops.get("/api/admin/auth/me", token=colleague.token).json()["roles"] == ["support-read", "auditor"]
