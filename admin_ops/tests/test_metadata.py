"""Staff set metadata of users and teams, by the API and on their pages."""

import pytest

from admin_ops.tests.pages import open_admin_site
from saas.accounts.models import Profile, StaffRole, User
from saas.audit.models import AuditEvent
from saas.teams.models import Team
from saas.testing.factories import user_factories
from saas.testing.factories.team_factories import create_team


@pytest.fixture(params=["user", "team"])
def row(request, customer):
    return customer.user if request.param == "user" else create_team(customer)


def kind_of(row):
    return "user" if isinstance(row, User) else "team"


def api_url(row):
    return f"/api/admin/{kind_of(row)}s/{row.pk}/metadata"


def page_url(row, action_name=""):
    table = "accounts/user" if kind_of(row) == "user" else "teams/team"
    return f"/admin/{table}/{row.pk}/" + (f"do/{action_name}/" if action_name else "change/")


def stored(row):
    return Profile.objects.get(user=row).metadata if kind_of(row) == "user" else Team.objects.get().metadata


def test_staff_set_any_key_and_it_is_audited_without_its_value(admin_ops, staff_member, row):
    body = {"metadata": {"crm_id": "17", "tier": "gold"}, "reason": "new CRM"}

    answer = admin_ops.patch(api_url(row), body, token=staff_member.token)

    assert (answer.status_code, answer.json()) == (200, {"metadata": {"crm_id": "17", "tier": "gold"}})
    assert stored(row) == {"crm_id": "17", "tier": "gold"}
    event = AuditEvent.objects.get(action=f"{kind_of(row)}.metadata_changed")
    assert (event.actor, event.target, event.reason) == (staff_member.user.pk, row.pk, "new CRM")
    assert event.data == {"keys": ["crm_id", "tier"]}


def test_staffs_changes_are_merged(admin_ops, staff_member, row):
    admin_ops.patch(api_url(row), {"metadata": {"crm_id": "17", "tier": "gold"}}, token=staff_member.token)

    answer = admin_ops.patch(api_url(row), {"metadata": {"tier": "", "region": "eu"}}, token=staff_member.token)

    assert answer.json() == {"metadata": {"crm_id": "17", "region": "eu"}}


def test_staff_read_a_teams_metadata(admin_ops, customer, django_assert_num_queries):
    team = create_team(customer)
    Team.objects.update(metadata={"tier": "gold"})
    support = user_factories.create_staff_member("", StaffRole.SUPPORT_READ)

    with django_assert_num_queries(3):  # session, roles, team
        answer = admin_ops.get(api_url(team), token=support.token)

    assert (answer.status_code, answer.json()) == (200, {"metadata": {"tier": "gold"}})
    assert admin_ops.get("/api/admin/teams/team_none/metadata", token=support.token).status_code == 404


def test_staff_read_a_persons_metadata_with_their_profile(admin_ops, staff_member, customer):
    Profile.objects.update(metadata={"crm_id": "17"})

    answer = admin_ops.get(f"/api/admin/users/{customer.user.pk}", token=staff_member.token)

    assert answer.json()["profile"]["metadata"] == {"crm_id": "17"}


@pytest.mark.parametrize(
    "metadata", [{"k" * 41: "v"}, {"a[b": "v"}, {"key": "v" * 501}, {f"key_{n}": "v" for n in range(51)}, "text"]
)
def test_staff_keep_the_bounds(admin_ops, staff_member, row, metadata):
    answer = admin_ops.patch(api_url(row), {"metadata": metadata}, token=staff_member.token)

    assert (answer.status_code, stored(row)) == (422, {})


def test_members_of_staff_have_no_metadata(admin_ops, staff_member):
    answer = admin_ops.patch(api_url(staff_member.user), {"metadata": {"a": "b"}}, token=staff_member.token)

    assert (answer.status_code, answer.json()["code"]) == (409, "not_a_customer")


def test_a_deleted_account_and_team_get_none(admin_ops, staff_member, customer):
    team = create_team(customer)
    User.objects.filter(pk=customer.user.pk).update(status=User.Status.DELETED)
    Team.objects.update(deleted_at=team.created_at)

    answers = [
        admin_ops.patch(api_url(row), {"metadata": {"a": "b"}}, token=staff_member.token)
        for row in (customer.user, team)
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (409, "account_deleted"),
        (404, "not_found"),
    ]


def test_the_page_shows_it_and_sets_one_key(admin_site, row):
    done = admin_site.submit_form(page_url(row, "metadata"), {"key": "crm_id", "value": "17<b>", "reason": "CRM"})

    assert (done.status_code, done["Location"], stored(row)) == (302, page_url(row), {"crm_id": "17<b>"})
    page = admin_site.get(page_url(row)).content.decode()
    assert ("crm_id" in page, "17<b>" in page) == (True, False)
    admin_site.submit_form(page_url(row, "metadata"), {"key": "crm_id", "value": ""})
    assert stored(row) == {}


@pytest.mark.parametrize(
    "change", [{"key": ""}, {"key": "k" * 41}, {"key": "a[b"}, {"value": "v" * 501}], ids=["none", "long", "[", "value"]
)
def test_the_form_shows_what_is_out_of_bounds(admin_site, row, change):
    assert admin_site.submit_form(page_url(row, "metadata"), {"key": "a", "value": "b", **change}).status_code == 422
    assert stored(row) == {}


@pytest.mark.parametrize("role", [StaffRole.SUPPORT_READ, StaffRole.AUDITOR])
def test_who_only_reads_sets_none(admin_ops, row, role):
    open_admin_site(admin_ops, user_factories.create_staff_member("", role))

    assert admin_ops.submit_form(page_url(row, "metadata"), {"key": "a", "value": "b"}).status_code == 403
    assert stored(row) == {}
