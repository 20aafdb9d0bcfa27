"""What happens when two people do it at once. On PostgreSQL: SQLite has one writer at a time anyway."""

from collections.abc import Callable

import pytest

from saas.teams import actions, api_keys, invitations
from saas.teams.actors import Actor
from saas.teams.models import ApiKey, Invitation, Membership, Team
from saas.teams.roles import Role, Scope
from saas.testing.concurrency import run_concurrently
from saas.testing.factories import user_factories
from saas.testing.factories.team_factories import actor_for, add_member, create_team, with_verified_email
from saas.testing.mails import link_token

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def test_of_two_owners_who_leave_at_once_one_stays() -> None:
    customer, ola = (
        with_verified_email(user_factories.create_customer()),
        with_verified_email(user_factories.create_customer()),
    )
    team = create_team(customer)
    add_member(team, Role.OWNER, ola)
    first, second = actor_for(team, customer), actor_for(team, ola)

    outcome = run_concurrently(lambda: actions.leave_team(first), lambda: actions.leave_team(second))

    assert outcome == ["done", "last_owner"]
    assert Membership.objects.get().user_id == Team.objects.get().owner_id


def test_two_owners_cannot_demote_each_other_run_concurrently() -> None:
    customer, ola = (
        with_verified_email(user_factories.create_customer()),
        with_verified_email(user_factories.create_customer()),
    )
    team = create_team(customer)
    add_member(team, Role.OWNER, ola)
    first, second = actor_for(team, customer), actor_for(team, ola)

    outcome = run_concurrently(
        lambda: actions.change_role(first, user_id=ola.user.id, role=Role.VIEWER),
        lambda: actions.change_role(second, user_id=customer.user.id, role=Role.VIEWER),
    )

    assert outcome == ["done", "forbidden"]  # the second is no owner any more when their turn comes
    assert Membership.objects.filter(role=Role.OWNER).count() == 1


def test_ten_acceptances_of_one_invitation_make_one_member() -> None:
    customer = user_factories.create_customer()
    team = create_team(customer)
    guest = with_verified_email(user_factories.create_customer("new@example.org"))
    invitations.invite(actor_for(team, customer), email="new@example.org", role=Role.MEMBER)
    token = link_token("team_invitation")

    outcome = run_concurrently(*[lambda: invitations.accept_invitation(token, user=guest.user)] * 10)

    assert outcome == ["done"] + ["invitation_used"] * 9
    assert Membership.objects.filter(user=guest.user).count() == 1


def test_ten_acceptances_of_ones_own_invitation_make_one_member() -> None:
    customer = user_factories.create_customer()
    team = create_team(customer)
    guest = with_verified_email(user_factories.create_customer("new@example.org"))
    sent = invitations.invite(actor_for(team, customer), email="new@example.org", role=Role.MEMBER)

    outcome = run_concurrently(*[lambda: invitations.accept_own_invitation(sent.pk, user=guest.user)] * 10)

    assert outcome == ["done"] + ["not_found"] * 9
    assert Membership.objects.filter(user=guest.user).count() == 1


def test_of_teams_handed_to_one_person_at_once_the_plan_allows_one() -> None:
    heir, givers = user_factories.create_customer(), [user_factories.create_customer() for _ in range(4)]
    teams = [create_team(giver) for giver in givers]
    for team in teams:
        add_member(team, Role.MEMBER, heir)

    def hand_over(actor: Actor) -> Callable[[], object]:
        return lambda: actions.transfer_team(actor, new_owner_id=heir.user.id)

    outcome = run_concurrently(*map(hand_over, map(actor_for, teams, givers)))

    assert outcome == ["done"] + ["team_limit"] * 3
    assert Team.objects.owned_by(heir.user).count() == 1


def test_the_last_seat_is_given_once() -> None:
    customer = user_factories.create_customer()
    team = create_team(customer)
    add_member(team, Role.MEMBER)
    inviter = actor_for(team, customer)

    def invite(number: int) -> Callable[[], object]:
        return lambda: invitations.invite(inviter, email=f"n{number}@example.org", role=Role.MEMBER)

    outcome = run_concurrently(*[invite(number) for number in range(6)])

    assert outcome == ["done"] + ["seat_limit"] * 5
    assert Invitation.objects.count() == 1


def test_the_last_team_is_founded_once() -> None:
    customer = user_factories.create_customer()

    outcome = run_concurrently(*[lambda: actions.create_team(name="Engineering", owner=customer.user)] * 6)

    assert outcome == ["done"] + ["team_limit"] * 5
    assert Team.objects.count() == 1


def test_the_last_key_is_made_once() -> None:
    customer = with_verified_email(user_factories.create_customer())
    maker = actor_for(create_team(customer), customer)

    outcome = run_concurrently(
        *[lambda: api_keys.create_api_key(maker, name="CI", scopes=[Scope.READ], expires_in_days=1)] * 6
    )

    assert outcome == ["api_key_limit"] * 5 + ["done"]
    assert ApiKey.objects.count() == 1


def test_an_address_invited_twice_at_once_is_invited_once() -> None:
    customer = user_factories.create_customer()
    inviter = actor_for(create_team(customer), customer)

    outcome = run_concurrently(*[lambda: invitations.invite(inviter, email="new@example.org", role=Role.MEMBER)] * 2)

    assert outcome == ["already_invited", "done"]
