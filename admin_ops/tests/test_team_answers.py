"""“Who can do what in my team?”: members with roles, invitations, keys, limits used, money and timeline on one page."""

import pytest

from saas.billing import checkouts
from saas.billing.models import Subscription
from saas.teams import actions, invitations
from saas.teams.models import Team
from saas.teams.roles import Role
from saas.testing.factories import event_factories
from saas.testing.factories.team_factories import (
    actor_for,
    add_member,
    create_api_key,
    create_team,
    with_verified_email,
)
from saas.webhook_events.models import WebhookEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(customer):
    return with_verified_email(customer)


@pytest.fixture
def team(owner):
    return create_team(owner)


def page(admin_site, team, query=""):
    return admin_site.get(f"/admin/teams/team/{team.pk}/change/{query}").content.decode()


def test_members_invitations_and_keys_are_on_the_page_with_what_is_taken(admin_site, owner, team):
    viewer = add_member(team, Role.VIEWER)
    invitations.invite(actor_for(team, owner), email="new@example.net", role=Role.ADMIN)
    checkouts.start_checkout(owner.user, owner=team, plan_id="growth")
    event_factories.drain()
    key, _ = create_api_key(team, owner)

    content = page(admin_site, team)

    assert "3 seats taken of 25" in content
    assert (viewer.user.email in content, "look on" in content) == (True, True)
    assert ("new@example.net" in content, f"{key.prefix}…" in content) == (True, True)
    assert ("pay, hand over, manage members, manage keys, see keys" in content, "1 of " in content) == (True, True)


def test_the_timeline_of_a_team_has_its_members_and_its_money(admin_site, owner, team):
    actions.update_team(actor_for(team, owner), name="Crew")
    checkouts.start_checkout(owner.user, owner=team, plan_id="growth")
    event_factories.drain()

    content = page(admin_site, team)

    for title in ("Team renamed", "Growth: new", "customer.subscription.created"):
        assert title in content
    assert "Team renamed" not in page(admin_site, team, "?kind=money")


def test_what_is_wrong_with_a_teams_payments_is_on_top(admin_site, owner, team):
    checkouts.start_checkout(owner.user, owner=team, plan_id="growth")
    event = WebhookEvent.objects.get(type="customer.subscription.created")
    WebhookEvent.objects.filter(pk=event.pk).update(status="failed")

    content = page(admin_site, team)
    owners = admin_site.get(f"/admin/accounts/user/{owner.user.pk}/change/").content.decode()

    remedy = f"/admin/webhook_events/webhookevent/{event.pk}/do/replay/?back="
    assert (remedy in content, remedy in owners) == (True, True)


def test_the_page_costs_the_same_however_large_the_team_is(admin_site, owner, team, django_assert_max_num_queries):
    checkouts.start_checkout(owner.user, owner=team, plan_id="growth")
    event_factories.drain()
    for _ in range(5):
        add_member(team, Role.MEMBER)

    with django_assert_max_num_queries(44):
        page(admin_site, team)


def test_a_deleted_team_says_that_nothing_is_left(admin_site, owner, team):
    actions.delete_team(actor_for(team, owner))

    content = page(admin_site, team)

    assert ("No member: the team was deleted." in content, Team.objects.get().deleted_at is None) == (True, False)
    assert not Subscription.objects.exists()
