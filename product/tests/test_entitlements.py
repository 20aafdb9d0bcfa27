"""What an owner may use, and where it comes from."""

from datetime import timedelta

import pytest

from saas.billing import clock, entitlements
from saas.billing.overrides import comp_plan, grant_feature, override_limit
from saas.billing.subscriptions import cancel_subscription
from saas.billing.tests.plan_limits import added_limits, with_added_limits
from saas.errors import Invalid
from saas.teams.actions import create_team


@pytest.fixture
def given(staff_member):
    return {"expires_at": clock.now() + timedelta(days=30), "reason": "Waits for the invoice", "by": staff_member.user}


def free(key, value):
    return {"key": key, "value": value, "source": "free", "plan": None, "expires_at": None}


def test_entitlements_tell_their_source_and_when_it_ends(product, customer, given, django_assert_num_queries):
    product.post("/api/subscriptions/checkout", {"plan_id": "starter"}, token=customer.token)
    row = cancel_subscription(customer.user, at_period_end=True, reason="", by=customer.user)
    override_limit(customer.user, key="seats", value=40, **given)
    grant_feature(customer.user, feature="sso", **given)

    with django_assert_num_queries(4):  # session, clock, subscriptions, overrides
        body = product.get("/api/billing/entitlements", token=customer.token).json()

    period_end = row.current_period_end.isoformat().replace("+00:00", "Z")
    given_until = given["expires_at"].isoformat().replace("+00:00", "Z")
    bought = {"source": "subscription", "plan": "starter", "expires_at": period_end}
    overridden = {"source": "override", "plan": None, "expires_at": given_until}
    assert body == {
        "limits": with_added_limits({"teams": 1, "seats": 40, "api_keys": 2}),
        "features": ["email-support", "sso"],
        "limit_details": [
            free("teams", 1),
            {"key": "seats", "value": 40, **overridden},
            {"key": "api_keys", "value": 2, **bought},
            *(free(key, value) for key, value in added_limits().items()),
        ],
        "feature_details": [
            {"key": "email-support", "value": None, **bought},
            {"key": "sso", "value": None, **overridden},
        ],
    }


def test_a_comp_leaves_the_subscription_as_the_provider_tells_it(product, customer, given):
    comp_plan(customer.user, plan_id="scale", **given)

    assert product.get("/api/subscriptions/current", token=customer.token).json() == {"subscription": None}
    assert product.get("/api/billing/entitlements", token=customer.token).json()["limits"]["seats"] is None


def test_a_team_has_the_higher_of_its_own_and_its_owners_limit(customer, other, given):
    team = create_team(name="Alpha", owner=customer.user).team

    with pytest.raises(Invalid):  # only a person has a limit of teams
        override_limit(team, key="teams", value=12, **given)
    override_limit(team, key="seats", value=12, **given)
    assert (entitlements.get_limit(team, "seats"), entitlements.get_limit(customer.user, "seats")) == (12, 3)
    override_limit(customer.user, key="seats", value=15, **given)

    assert entitlements.get_limit(team, "seats") == 15
    assert entitlements.get_limit(other.user, "seats") == 3
