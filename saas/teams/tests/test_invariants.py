"""What must always be true of teams, and what may happen without breaking it."""

from datetime import timedelta

from django.utils import timezone

from saas.billing.checkouts import start_checkout
from saas.billing.models import Subscription
from saas.operations.invariants import find_violations
from saas.teams.actions import create_team
from saas.teams.models import Membership, Team
from saas.testing.factories import user_factories
from saas.testing.factories.user_factories import Person


def broken() -> set[tuple[str, str]]:
    return {(violation.name.removeprefix("teams."), violation.subject) for violation in find_violations()}


def crowd(team: Team, members: int) -> None:
    for _ in range(members):
        Membership.objects.create(team=team, user=user_factories.create_customer().user, role="member")


def test_a_team_with_more_members_than_seats_is_told(customer: Person) -> None:
    team = create_team(name="Alpha", owner=customer.user).team
    crowd(team, 2)
    assert broken() == set()

    crowd(team, 1)

    assert broken() == {("members_have_seats", team.pk)}


def test_a_team_that_lost_its_plan_keeps_its_members(customer: Person) -> None:
    start_checkout(customer.user, plan_id="starter")
    team = create_team(name="Alpha", owner=customer.user).team
    crowd(team, 4)
    assert broken() == set()

    later = timezone.now() + timedelta(seconds=1)
    Subscription.objects.update(plan_id=None, status="incomplete", changed_at=later)

    assert "members_have_seats" not in {name for name, _ in broken()}


def test_a_team_without_an_owner_among_its_members_is_told(customer: Person) -> None:
    team = create_team(name="Alpha", owner=customer.user).team
    Membership.objects.update(role="admin")

    assert broken() == {("teams_have_an_owner", team.pk)}
