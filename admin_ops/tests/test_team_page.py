"""A team's admin page, and its staff actions."""

from datetime import timedelta

import pytest
from django.utils import timezone

from admin_ops.tests.pages import confirm_form, open_admin_site
from saas.accounts.models import StaffRole
from saas.audit.models import AuditEvent
from saas.billing import entitlements
from saas.billing.models import EntitlementOverride
from saas.teams.models import Team
from saas.testing.factories import user_factories
from saas.testing.factories.team_factories import create_team, with_verified_email

LAST_DAY = f"{timezone.now() + timedelta(days=200):%Y-%m-%d}"
GIVE_PLAN = {"reason": "pilot", "plan": "scale", "last_day": LAST_DAY}


@pytest.fixture
def team(customer):
    return create_team(with_verified_email(customer))


def page_url(team, action_name=""):
    return f"/admin/teams/team/{team.pk}/" + (f"do/{action_name}/" if action_name else "change/")


@pytest.mark.parametrize(
    ("action_name", "fields", "seats", "has_sso"),
    [
        ("give-plan", GIVE_PLAN, None, False),
        ("give-more", {"reason": "pilot", "what": "limit:seats", "value": "40", "last_day": LAST_DAY}, 40, False),
        ("give-more", {"reason": "pilot", "what": "feature:sso", "last_day": LAST_DAY}, 3, True),
    ],
)
def test_what_a_team_is_given_is_on_its_page_and_audited(
    admin_site, customer, staff_member, team, action_name, fields, seats, has_sso
):
    asked = admin_site.get(page_url(team, action_name))

    done = confirm_form(admin_site, page_url(team, action_name), fields)

    assert (asked.status_code, done.status_code, done["Location"]) == (200, 302, page_url(team))
    assert (entitlements.get_limit(team, "seats"), entitlements.has_feature(team, "sso")) == (seats, has_sso)
    assert entitlements.get_limit(customer.user, "seats") == 3
    event = AuditEvent.objects.get(action="entitlement.given")
    assert (event.actor, event.target, event.reason) == (staff_member.user.pk, team.pk, "pilot")
    page = admin_site.get(page_url(team)).content.decode()
    assert ("<dt>Seats</dt>" in page, "<dt>Teams</dt>" in page, "given until" in page) == (True, False, True)
    assert EntitlementOverride.objects.get().pk in page


def test_ending_a_teams_override_leads_back_to_the_teams_page(admin_site, team):
    confirm_form(admin_site, page_url(team, "give-plan"), GIVE_PLAN)
    given = EntitlementOverride.objects.get()

    done = admin_site.submit_form(f"/admin/billing/entitlementoverride/{given.pk}/do/end/", {"reason": "over"})

    assert done["Location"] == page_url(team)
    assert entitlements.get_limit(team, "seats") == 3
    assert "given until" not in admin_site.get(page_url(team)).content.decode()


@pytest.mark.parametrize(
    ("action_name", "change"),
    [
        ("give-plan", {"reason": " "}),
        ("give-plan", {"last_day": "2020-01-01"}),
        ("give-more", {"what": "limit:teams", "value": "9"}),
    ],
)
def test_invalid_input_is_shown_on_the_form(admin_site, team, action_name, change):
    assert confirm_form(admin_site, page_url(team, action_name), {**GIVE_PLAN, **change}).status_code == 422
    assert not EntitlementOverride.objects.exists()


@pytest.mark.parametrize("action_name", ["give-plan", "give-more"])
@pytest.mark.parametrize("role", [StaffRole.SUPPORT_READ, StaffRole.AUDITOR])
def test_read_only_staff_give_nothing(admin_ops, team, role, action_name):
    open_admin_site(admin_ops, user_factories.create_staff_member("", role))

    assert "/do/" not in admin_ops.get(page_url(team)).content.decode()
    assert admin_ops.get(page_url(team, action_name)).status_code == 403
    assert admin_ops.submit_form(page_url(team, action_name), GIVE_PLAN).status_code == 403
    assert not EntitlementOverride.objects.exists()


def test_a_deleted_team_is_offered_nothing(admin_site, team):
    assert "/do/give-plan/" in admin_site.get(page_url(team)).content.decode()

    Team.objects.update(deleted_at=timezone.now())

    assert "/do/" not in admin_site.get(page_url(team)).content.decode()
