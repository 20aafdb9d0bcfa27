"""What staff give beside what was bought."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from saas.audit.models import AuditEvent
from saas.billing import clock, entitlements
from saas.billing.catalogue.limits_and_features import LARGEST_LIMIT, check_limits
from saas.billing.checkouts import start_checkout
from saas.billing.entitlements import EntitlementDetail
from saas.billing.models import EntitlementOverride, Subscription
from saas.billing.overrides import OverrideEnded, comp_plan, end_override, grant_feature, override_limit
from saas.billing.providers.local import test_clock
from saas.billing.subscriptions import cancel_subscription
from saas.billing.tests.plan_limits import with_added_limits
from saas.errors import Invalid, NotFound
from saas.testing.factories.user_factories import Person


def in_days(days: int) -> datetime:
    return clock.now() + timedelta(days=days)


@pytest.fixture
def given(staff_member: Person) -> dict[str, Any]:
    return {"expires_at": in_days(30), "reason": "Waits for the invoice", "by": staff_member.user}


def test_a_comped_plan_gives_all_that_the_plan_gives_and_no_subscription(
    customer: Person, given: dict[str, Any]
) -> None:
    override = comp_plan(customer.user, plan_id="growth", **given)

    granted = entitlements.get_entitlements(customer.user)
    assert granted.limits == with_added_limits({"teams": 10, "seats": 25, "api_keys": 10})
    assert granted.features == ["email-support", "priority-support"]
    assert entitlements.has_feature(customer.user, "priority-support")
    assert granted.limit_details[1] == EntitlementDetail("seats", 25, "comp", "growth", override.expires_at)
    assert not Subscription.objects.exists()


def test_what_is_given_ends_by_billings_clock(customer: Person, given: dict[str, Any]) -> None:
    comp_plan(customer.user, plan_id="growth", **given)

    test_clock.advance_and_process(timedelta(days=29, hours=23))
    assert entitlements.get_limit(customer.user, "seats") == 25
    test_clock.advance_and_process(timedelta(hours=2))

    assert entitlements.get_limit(customer.user, "seats") == 3
    assert entitlements.get_entitlements(customer.user).limit_details[1] == EntitlementDetail(
        "seats", 3, "free", None, None
    )


def test_the_best_of_what_is_bought_and_what_is_given_counts(customer: Person, given: dict[str, Any]) -> None:
    start_checkout(customer.user, plan_id="growth")
    override_limit(customer.user, key="seats", value=10, **given)
    override_limit(customer.user, key="api_keys", value=40, **given)
    override_limit(customer.user, key="teams", value=None, **given)

    assert entitlements.get_entitlements(customer.user).limits == with_added_limits(
        {"teams": None, "seats": 25, "api_keys": 40}
    )
    details = {detail.key: detail for detail in entitlements.get_entitlements(customer.user).limit_details}
    assert [details[key].source for key in ("teams", "seats", "api_keys")] == ["override", "subscription", "override"]


def test_of_two_that_give_the_same_the_one_that_lasts_longer_is_told(customer: Person, given: dict[str, Any]) -> None:
    start_checkout(customer.user, plan_id="growth")
    comp_plan(customer.user, plan_id="growth", **given)
    assert entitlements.get_entitlements(customer.user).limit_details[1].source == "subscription"

    row = cancel_subscription(customer.user, at_period_end=True, reason="", by=customer.user)
    longer = comp_plan(customer.user, plan_id="growth", **{**given, "expires_at": in_days(90)})

    assert row.access_ends_at == row.current_period_end
    assert entitlements.get_entitlements(customer.user).limit_details[1] == EntitlementDetail(
        "seats", 25, "comp", "growth", longer.expires_at
    )


def test_a_feature_can_be_given_alone(customer: Person, given: dict[str, Any]) -> None:
    grant_feature(customer.user, feature="sso", **given)

    assert entitlements.has_feature(customer.user, "sso")
    assert entitlements.get_entitlements(customer.user).features == ["sso"]
    assert entitlements.get_entitlements(customer.user).feature_details == [
        EntitlementDetail("sso", None, "override", None, given["expires_at"])
    ]
    assert entitlements.get_limit(customer.user, "seats") == 3


def test_ended_by_hand_it_counts_no_more_and_ends_only_once(
    customer: Person, staff_member: Person, given: dict[str, Any]
) -> None:
    override = comp_plan(customer.user, plan_id="scale", **given)

    end_override(override.pk, reason="Paid now", by=staff_member.user)

    assert entitlements.get_limit(customer.user, "seats") == 3
    with pytest.raises(OverrideEnded):
        end_override(override.pk, reason="Again", by=staff_member.user)
    assert AuditEvent.objects.filter(action="entitlement.ended").count() == 1


def test_what_has_run_out_cannot_be_ended(customer: Person, staff_member: Person, given: dict[str, Any]) -> None:
    override = comp_plan(customer.user, plan_id="scale", **given)
    test_clock.advance_and_process(timedelta(days=31))

    with pytest.raises(OverrideEnded):
        end_override(override.pk, reason="Too late", by=staff_member.user)


def test_giving_and_ending_are_in_the_audit_trail(
    customer: Person, staff_member: Person, given: dict[str, Any]
) -> None:
    override = override_limit(customer.user, key="seats", value=50, **given)
    end_override(override.pk, reason="Paid now", by=staff_member.user)

    told = AuditEvent.objects.filter(action__startswith="entitlement.").order_by("pk")
    assert [(event.action, event.actor, event.target, event.reason) for event in told] == [
        ("entitlement.given", staff_member.user.pk, customer.user.pk, "Waits for the invoice"),
        ("entitlement.ended", staff_member.user.pk, customer.user.pk, "Paid now"),
    ]
    assert told[0].data == {
        "override": override.pk,
        "kind": "limit",
        "plan": None,
        "key": "seats",
        "value": 50,
        "expires_at": override.expires_at.isoformat(),
    }


@pytest.mark.parametrize(
    ("give", "what", "field"),
    [
        (override_limit, {"key": "rockets", "value": 1}, "key"),
        (override_limit, {"key": "seats", "value": -1}, "value"),
        (override_limit, {"key": "seats", "value": LARGEST_LIMIT + 1}, "value"),
        (grant_feature, {"feature": "rockets"}, "feature"),
        (comp_plan, {"plan_id": "growth", "reason": "  "}, "reason"),
        (comp_plan, {"plan_id": "growth", "expires_at": in_days}, "expires_at"),
        (
            comp_plan,
            {"plan_id": "growth", "expires_at": lambda _: in_days(3 * 365) + timedelta(minutes=1)},
            "expires_at",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(
    customer: Person, given: dict[str, Any], give: Any, what: dict[str, Any], field: str
) -> None:
    asked = {name: value(0) if callable(value) else value for name, value in {**given, **what}.items()}

    with pytest.raises(Invalid) as refusal:
        give(customer.user, **asked)

    assert list(refusal.value.errors or {}) == [field]
    assert not EntitlementOverride.objects.exists()
    assert not AuditEvent.objects.filter(action="entitlement.given").exists()


@pytest.mark.parametrize("value", [0, LARGEST_LIMIT])
def test_the_least_and_the_most_can_be_given_for_three_years(
    customer: Person, given: dict[str, Any], value: int
) -> None:
    with time_machine.travel(timezone.now(), tick=False):
        longest = clock.now() + timedelta(days=3 * 365)
        override = override_limit(customer.user, key="seats", value=value, **{**given, "expires_at": longest})
        with pytest.raises(Invalid):
            override_limit(customer.user, key="seats", value=value, **{**given, "expires_at": clock.now()})

    assert EntitlementOverride.objects.values_list("value", "expires_at").get() == (value, longest)
    assert check_limits({"seats": value}) == []
    assert not override.is_live(longest)
    assert not EntitlementOverride.objects.live(longest).exists()


def test_an_unknown_plan_or_override_is_not_found(
    customer: Person, staff_member: Person, given: dict[str, Any]
) -> None:
    with pytest.raises(NotFound):
        comp_plan(customer.user, plan_id="rockets", **given)
    with pytest.raises(NotFound):
        end_override("ovr_unknown", reason="Why not", by=staff_member.user)
