"""What a subscription allows, and when it stops to."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.utils import timezone

from saas.accounts.models import User
from saas.billing import entitlements
from saas.billing.models import Customer, Plan, Subscription
from saas.ids import new_id
from saas.testing.factories.user_factories import Person

NOW = timezone.now()


@dataclass
class Team:
    pk: str
    owner_id: str


def subscribe(user: User, plan: str | None, status: str = "active", **fields: object) -> Subscription:
    customer, _ = Customer.objects.get_or_create(user=user, provider="local")
    return Subscription.objects.create(
        external_id=new_id("sub"), customer=customer, plan_id=plan, status=status, **fields
    )


def test_the_free_plan_has_one_team_three_seats_and_one_key(customer: Person) -> None:
    assert entitlements.get_entitlements(customer.user).limits == {"teams": 1, "seats": 3, "api_keys": 1}
    assert entitlements.get_entitlements(customer.user).features == []


@pytest.mark.parametrize(
    ("plan", "limits"),
    [
        ("starter", {"teams": 1, "seats": 5, "api_keys": 2}),
        ("growth", {"teams": 10, "seats": 25, "api_keys": 10}),
        ("scale", {"teams": None, "seats": None, "api_keys": None}),
    ],
)
def test_a_plan_gives_its_limits(customer: Person, plan: str, limits: dict[str, int | None]) -> None:
    subscribe(customer.user, plan)

    assert entitlements.get_entitlements(customer.user).limits == limits


@pytest.mark.parametrize(
    ("status", "seats"),
    [
        ("trialing", 25),
        ("active", 25),
        ("incomplete", 3),
        ("incomplete_expired", 3),
        ("unpaid", 3),
        ("paused", 3),
        ("canceled", 3),
        ("a status of the future", 3),
    ],
)
def test_the_status_decides_whether_a_plan_counts(customer: Person, status: str, seats: int) -> None:
    row = subscribe(customer.user, "growth", status)

    assert entitlements.get_limit(customer.user, "seats") == seats
    assert row.grants_access(NOW) == (seats == 25)


@pytest.mark.parametrize(("days", "seats"), [(0, 25), (6.9, 25), (7.1, 3)])
def test_a_failed_renewal_keeps_access_for_seven_days(customer: Person, days: float, seats: int) -> None:
    row = subscribe(customer.user, "growth", "past_due", past_due_since=NOW - timedelta(days=days))

    assert entitlements.get_limit(customer.user, "seats") == seats
    assert row.grants_access(NOW) == (seats == 25)


def test_the_best_of_all_subscriptions_counts(customer: Person) -> None:
    subscribe(customer.user, "starter")
    subscribe(customer.user, "growth")
    subscribe(customer.user, "scale", "canceled")

    assert entitlements.get_limit(customer.user, "api_keys") == 10
    assert entitlements.has_feature(customer.user, "audit-log")
    assert not entitlements.has_feature(customer.user, "sso")


def test_a_price_that_is_no_plan_of_ours_gives_nothing(customer: Person) -> None:
    subscribe(customer.user, None)

    assert entitlements.get_limit(customer.user, "seats") == 3


def test_a_team_has_what_its_owner_bought_and_nothing_of_others(customer: Person, other: Person) -> None:
    subscribe(customer.user, "growth")

    assert entitlements.get_limit(Team("team_1", customer.user.pk), "seats") == 25
    assert entitlements.get_limit(Team("team_2", other.user.pk), "seats") == 3
    assert entitlements.get_limit(other.user, "seats") == 3


def test_all_limits_cost_three_queries(customer: Person, django_assert_num_queries) -> None:
    with django_assert_num_queries(3):  # the clock, the subscriptions with their plans, what staff gave
        entitlements.get_entitlements(customer.user)


def test_the_catalogue_in_the_code_is_what_a_fresh_database_sells(db: None) -> None:
    from saas.billing.catalogue import seed_plans

    before = list(Plan.objects.order_by("id").values())
    seed_plans()
    seed_plans()

    assert list(Plan.objects.order_by("id").values()) == before
    assert len(before) == 3
