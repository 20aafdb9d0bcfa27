"""What a team pays for, where its plan is sold per seat, follows its members."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from saas.billing import entitlements
from saas.billing.catalogue.prices import change_price
from saas.billing.checkouts import start_checkout
from saas.billing.models import Invoice, PendingChange, Plan, PriceTerms, Subscription
from saas.billing.providers.local import test_clock
from saas.billing.scheduled_changes import schedule_change
from saas.billing.subscriptions import cancel_subscription, change_plan
from saas.errors import NotFound
from saas.teams import actions, invitations, seat_billing, tasks
from saas.teams.models import Membership, Team
from saas.teams.plan_limits import SeatLimitReached, require_free_seat
from saas.teams.roles import Role
from saas.testing.factories import user_factories
from saas.testing.factories.team_factories import actor_for, create_team, with_verified_email
from saas.testing.factories.user_factories import Person

START = datetime(2027, 1, 1, 12, tzinfo=UTC)
LAST_OF_JANUARY = START + timedelta(days=30, hours=1)
HALF_OF_JANUARY = timedelta(days=15, hours=12)


@pytest.fixture
def team(customer: Person):
    """Four members, who cost 10 USD each a month."""
    with time_machine.travel(START, tick=False):
        Plan.objects.filter(pk="growth").update(limits={"seats": 6})
        change_price("growth", PriceTerms("usd", "month", 1_000, is_per_unit=True), by="system")
        team = Team.objects.create(name="Team", owner=customer.user)
        Membership.objects.create(team=team, user=customer.user, role="owner")
        join(team, 3)
        start_checkout(customer.user, owner=team, plan_id="growth", seats=4)
        yield team


def join(team: Team, people: int) -> None:
    for _ in range(people):
        Membership.objects.create(team=team, user=user_factories.create_customer().user, role="member")


def leave(team: Team, people: int) -> None:
    for row in team.memberships.filter(role="member").order_by("-pk")[:people]:
        row.delete()


def quantity() -> int:
    return Subscription.objects.get().quantity


def totals() -> list[int]:
    return list(Invoice.objects.order_by("issued_at").values_list("total_cents", flat=True))


def test_a_new_member_is_charged_for_the_rest_of_the_period(team: Team) -> None:
    test_clock.advance_and_process(HALF_OF_JANUARY)
    join(team, 2)

    tasks.update_team_seats(team.pk)
    assert (quantity(), entitlements.get_limit(team, "seats")) == (6, 6)
    test_clock.advance_and_process(timedelta(days=16))

    assert totals() == [4_000, 6_000 + 1_000]


def test_fewer_members_cost_less_from_the_next_period_on(team: Team) -> None:
    leave(team, 2)

    assert (seat_billing.update_all_seats(), quantity()) == (0, 4)
    test_clock.advance_and_process(timedelta(days=30, hours=1))
    assert (seat_billing.update_all_seats(), quantity()) == (1, 2)
    test_clock.advance_and_process(timedelta(days=1))

    assert totals() == [4_000, 2_000]
    assert seat_billing.update_all_seats() == 0


def test_joining_and_leaving_each_ask_for_an_update_of_the_seats(
    customer: Person, other: Person, django_capture_on_commit_callbacks: Any
) -> None:
    team, guest = create_team(customer), with_verified_email(other)
    sent = invitations.invite(actor_for(team, customer), email=guest.user.email, role=Role.MEMBER)

    with django_capture_on_commit_callbacks() as joined:
        invitations.accept_own_invitation(sent.pk, user=guest.user)
    with django_capture_on_commit_callbacks() as left:
        actions.leave_team(actor_for(team, guest))

    assert (len(joined), len(left)) == (1, 1)


def test_another_interval_is_charged_for_the_members_that_there_are(team: Team, customer: Person) -> None:
    change_price("growth", PriceTerms("usd", "year", 10_000, is_per_unit=True), by="system")
    leave(team, 2)

    change_plan(team, plan_id="growth", interval="year", by=customer.user, seats=2)

    assert (quantity(), totals()) == (2, [4_000, 20_000 - 4_000])


def test_another_plan_keeps_the_seats_of_a_period_that_goes_on(team: Team, customer: Person) -> None:
    change_price("scale", PriceTerms("usd", "month", 2_000, is_per_unit=True), by="system")
    leave(team, 2)

    change_plan(team, plan_id="scale", by=customer.user, seats=2)

    assert quantity() == 4


def test_seats_grow_up_to_the_plans_limit(team: Team) -> None:
    require_free_seat(team, taken=4)
    require_free_seat(team, taken=5)

    with pytest.raises(SeatLimitReached):
        require_free_seat(team, taken=6)


def test_a_plan_that_is_sold_whole_has_the_seats_that_it_has(team: Team, customer: Person) -> None:
    cancel_subscription(team, at_period_end=False, reason="", by=customer.user)

    start_checkout(customer.user, owner=team, plan_id="starter")

    with pytest.raises(SeatLimitReached):
        require_free_seat(team, taken=5)
    join(team, 3)
    assert (seat_billing.update_seats(team), seat_billing.update_all_seats()) == (False, 0)


def test_a_subscription_that_ends_buys_no_seats(team: Team, customer: Person) -> None:
    cancel_subscription(team, at_period_end=True, reason="", by=customer.user)
    join(team, 1)

    assert (seat_billing.update_seats(team), quantity()) == (False, 4)
    with pytest.raises(SeatLimitReached):
        require_free_seat(team, taken=5)


def test_what_is_not_paid_and_a_team_that_ended_buy_no_seats(team: Team) -> None:
    join(team, 1)
    Subscription.objects.update(status="past_due")
    assert (seat_billing.update_seats(team), quantity()) == (False, 4)

    Subscription.objects.update(status="active")
    Team.objects.update(deleted_at=START)
    assert (seat_billing.update_all_seats(), quantity()) == (0, 4)


def test_a_new_member_is_charged_on_an_archived_plan_too(team: Team) -> None:
    Plan.objects.filter(pk="growth").update(is_active=False)
    join(team, 1)

    tasks.update_team_seats(team.pk)

    assert (quantity(), entitlements.get_limit(team, "seats")) == (5, 5)
    with pytest.raises(NotFound):  # another interval would be bought anew
        change_plan(team, plan_id="growth", interval="year", by=team.owner)


def test_a_sweep_ends_when_its_time_is_over_and_the_next_goes_on(team: Team) -> None:
    owner = user_factories.create_customer().user
    second = Team.objects.create(name="Second", owner=owner)
    Membership.objects.create(team=second, user=owner, role="owner")
    start_checkout(owner, owner=second, plan_id="growth", seats=1)
    join(team, 1)
    join(second, 1)

    assert seat_billing.update_all_seats(seconds=0) == 1
    assert seat_billing.update_all_seats() == 1


def planned() -> list[tuple[str | None, int]]:
    return list(PendingChange.objects.values_list("price__plan_id", "quantity"))


def test_a_new_member_leaves_another_plan_planned(team: Team, customer: Person) -> None:
    schedule_change(team, plan_id="starter", by=customer.user, seats=4)
    join(team, 1)

    tasks.update_team_seats(team.pk)

    assert (quantity(), planned()) == (5, [("starter", 1)])


def test_other_seats_overtake_those_that_were_planned(team: Team, customer: Person) -> None:
    schedule_change(team, plan_id="growth", quantity=5, by=customer.user, seats=4)

    change_plan(team, plan_id="growth", quantity=6, by=customer.user, seats=4)

    assert (quantity(), planned()) == (6, [])


@pytest.mark.parametrize("before", ["growth", "starter"])  # sold per seat, and whole
def test_a_planned_plan_is_bought_for_the_members_of_its_day(team: Team, customer: Person, before: str) -> None:
    if before == "starter":
        change_plan(team, plan_id="starter", by=customer.user, seats=4)
    change_price("scale", PriceTerms("usd", "month", 2_000, is_per_unit=True), by="system")
    schedule_change(team, plan_id="scale", by=customer.user, seats=4)
    leave(team, 2)

    with time_machine.travel(LAST_OF_JANUARY, tick=False):
        seat_billing.update_all_seats()

    assert planned() == [("scale", 2)]


@pytest.mark.parametrize(("joining", "seats"), [(1, 10), (8, 12)])
def test_seats_that_are_planned_for_people_to_come_stay_planned(
    team: Team, customer: Person, joining: int, seats: int
) -> None:
    Plan.objects.update(limits={"seats": 20})
    change_price("scale", PriceTerms("usd", "month", 2_000, is_per_unit=True), by="system")
    schedule_change(team, plan_id="scale", quantity=10, by=customer.user, seats=4)
    join(team, joining)

    seat_billing.update_all_seats()

    assert planned() == [("scale", seats)]
