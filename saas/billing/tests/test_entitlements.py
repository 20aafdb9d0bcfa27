"""What a subscription allows, and when it stops to."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.db.models import JSONField, Value
from django.utils import timezone

from saas.accounts.models import User
from saas.billing import entitlements
from saas.billing.catalogue import limits_and_features
from saas.billing.models import Customer, Plan, Price, Subscription
from saas.billing.subscriptions import current_subscription
from saas.billing.tests.plan_limits import with_added_limits
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
    assert entitlements.get_entitlements(customer.user).limits == with_added_limits(
        {"teams": 1, "seats": 3, "api_keys": 1}
    )
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

    assert entitlements.get_entitlements(customer.user).limits == with_added_limits(limits)


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


@pytest.mark.parametrize(("days", "seats"), [(0, 25), (6.9, 25), (7, 3)])
def test_a_failed_renewal_keeps_access_for_seven_days(customer: Person, days: float, seats: int) -> None:
    row = subscribe(customer.user, "growth", "past_due", past_due_since=NOW - timedelta(days=days))

    assert entitlements.get_limit(customer.user, "seats") == seats
    assert row.grants_access(NOW) == (seats == 25)


def test_access_ends_with_the_first_of_grace_and_cancellation() -> None:
    row = Subscription(status="past_due", past_due_since=NOW, cancel_at=NOW + timedelta(days=2))

    assert row.access_ends_at == NOW + timedelta(days=2)


def test_of_two_subscriptions_the_one_that_gives_access_is_current(customer: Person) -> None:
    gives = subscribe(customer.user, "growth", started_at=NOW - timedelta(days=9))
    subscribe(customer.user, "scale", "unpaid", started_at=NOW)

    assert current_subscription(customer.user) == gives


def test_the_best_of_all_subscriptions_counts(customer: Person) -> None:
    subscribe(customer.user, "starter")
    subscribe(customer.user, "growth")
    subscribe(customer.user, "scale", "canceled")

    assert entitlements.get_limit(customer.user, "api_keys") == 10
    assert entitlements.has_feature(customer.user, "priority-support")
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


@pytest.mark.parametrize(
    ("plan", "quantity", "is_per_unit", "seats"),
    [
        ("growth", 40, True, 40),
        ("growth", 4, True, 4),
        ("scale", 12, True, 12),
        ("growth", 40, False, 40),  # the provider was told so by hand, and charges for each
        ("growth", 1, False, 25),
        ("scale", 40, False, None),
    ],
)
def test_the_quantity_is_the_number_of_seats(customer: Person, plan, quantity, is_per_unit, seats) -> None:
    Price.objects.create(provider="local", external_id="price_seat", plan_id=plan, is_per_unit=is_per_unit)
    subscribe(customer.user, plan, price_id="price_seat", quantity=quantity)

    assert entitlements.get_limit(customer.user, "seats") == seats
    assert entitlements.get_limit(customer.user, "api_keys") == {"growth": 10, "scale": None}[plan]


@pytest.mark.parametrize("limits", [{}, {"gone": 5}, {"seats": "many", "teams": -1, "api_keys": True}, ["seats"], None])
def test_what_a_plan_says_nothing_usable_about_has_its_default(customer: Person, limits: object) -> None:
    Plan.objects.filter(pk="growth").update(limits=limits if limits is not None else Value(None, JSONField()))
    subscribe(customer.user, "growth")

    assert entitlements.get_entitlements(customer.user).limits == with_added_limits(
        {"teams": 1, "seats": 3, "api_keys": 1}
    )


def test_a_limit_that_nobody_declared_is_nothing(customer: Person) -> None:
    subscribe(customer.user, "scale")

    assert entitlements.get_limit(customer.user, "declared_later") == 0


def test_a_limit_declared_later_has_its_default_in_every_plan(customer: Person, monkeypatch) -> None:
    monkeypatch.setattr(
        limits_and_features,
        "LIMITS",
        [*limits_and_features.LIMITS, limits_and_features.Limit("declared_later", "Later", default=3)],
    )
    subscribe(customer.user, "scale")

    assert entitlements.get_limit(customer.user, "declared_later") == 3
    Plan.objects.filter(pk="scale").update(limits={"declared_later": None})
    assert entitlements.get_limit(customer.user, "declared_later") is None


def test_the_catalogue_in_the_code_is_what_a_fresh_database_sells(db: None) -> None:
    from saas.billing.catalogue import seed_plans

    before = list(Plan.objects.order_by("id").values())
    seed_plans()
    seed_plans()

    assert list(Plan.objects.order_by("id").values()) == before
    assert len(before) == 3
