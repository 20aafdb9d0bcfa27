"""The API for entitlement overrides, trial extensions and mapped prices."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from admin_ops.tests.pages import open_admin_site
from saas.accounts.models import StaffRole
from saas.audit.models import AuditEvent
from saas.billing import entitlements, providers
from saas.billing.customers import ensure_provider_customer, get_or_create_customer
from saas.billing.models import Customer, EntitlementOverride, Subscription
from saas.billing.providers.local import lifecycle
from saas.teams.models import Team
from saas.testing import local_provider
from saas.testing.factories import event_factories, user_factories
from saas.testing.factories import stripe_object_factories as whole
from saas.testing.factories.team_factories import create_team, with_verified_email
from saas.webhook_events.actions import append_event

LATER = f"{timezone.now() + timedelta(days=200):%Y-%m-%d}T00:00:00Z"


def give(admin_ops, staff_member, person, **body):
    full = {"kind": "plan", "key": "growth", "expires_at": LATER, "reason": "sorry for the outage", **body}
    return admin_ops.post(f"/api/admin/users/{person.user.pk}/overrides", full, token=staff_member.token)


@pytest.fixture
def trial(customer):
    provider_customer = ensure_provider_customer(
        get_or_create_customer(customer.user, providers.current_gateway()), customer.user, providers.current_gateway()
    )
    lifecycle.start_subscription(provider_customer.external_id, "price_local_growth_7900", timezone.now(), trial_days=7)
    local_provider.deliver_events()
    return Subscription.objects.get()


def extend(admin_ops, staff_member, row, trial_end, reason="was ill"):
    path = f"/api/admin/subscriptions/{row.pk}/trial"
    return admin_ops.post(path, {"trial_end": trial_end.isoformat(), "reason": reason}, token=staff_member.token)


@pytest.mark.parametrize(
    ("body", "seats", "has_sso"),
    [
        ({}, 25, False),
        ({"kind": "limit", "key": "seats", "value": 7}, 7, False),
        ({"kind": "limit", "key": "seats", "value": None}, None, False),
        ({"kind": "feature", "key": "sso"}, 3, True),
    ],
)
def test_what_is_given_counts_at_once_and_is_shown_with_its_end(
    admin_ops, customer, staff_member, body, seats, has_sso
):
    answer = give(admin_ops, staff_member, customer, **body)

    assert answer.status_code == 201
    override = answer.json()["override"]
    assert (override["by"], override["expires_at"], override["ended_at"]) == (staff_member.user.email, LATER, None)
    assert entitlements.get_limit(customer.user, "seats") == seats
    assert entitlements.has_feature(customer.user, "sso") == has_sso
    assert AuditEvent.objects.get(action="entitlement.given").reason == "sorry for the outage"
    page = admin_ops.get(f"/api/admin/users/{customer.user.pk}", token=staff_member.token).json()
    assert [row["id"] for row in page["overrides"]] == [override["id"]]


UNFIT = [
    ({"key": "platinum"}, 404),
    ({"kind": "limit", "key": "planets"}, 422),
    ({"kind": "feature", "key": "teleport"}, 422),
    ({"kind": "gold"}, 422),
    ({"expires_at": "2020-01-01T00:00:00Z"}, 422),
    ({"expires_at": "2999-01-01T00:00:00Z"}, 422),
    ({"reason": " "}, 422),
]


@pytest.mark.parametrize(("body", "status"), UNFIT)
def test_invalid_input_gives_nothing(admin_ops, customer, staff_member, body, status):
    assert give(admin_ops, staff_member, customer, **body).status_code == status
    assert not EntitlementOverride.objects.exists()


@pytest.fixture
def team(customer):
    return create_team(with_verified_email(customer))


def give_team(admin_ops, staff_member, team, **body):
    full = {"kind": "plan", "key": "growth", "expires_at": LATER, "reason": "pilot", **body}
    return admin_ops.post(f"/api/admin/teams/{team.pk}/overrides", full, token=staff_member.token)


@pytest.mark.parametrize(
    ("body", "seats", "has_sso"),
    [
        ({}, 25, False),
        ({"kind": "limit", "key": "seats", "value": 7}, 7, False),
        ({"kind": "feature", "key": "sso"}, 3, True),
    ],
)
def test_what_a_team_is_given_is_its_own_and_not_its_owners(
    admin_ops, customer, staff_member, team, body, seats, has_sso
):
    answer = give_team(admin_ops, staff_member, team, **body)

    assert answer.status_code == 201
    override = answer.json()["override"]
    assert (override["by"], override["reason"], override["expires_at"], override["ended_at"]) == (
        staff_member.user.email,
        "pilot",
        LATER,
        None,
    )
    assert (entitlements.get_limit(team, "seats"), entitlements.has_feature(team, "sso")) == (seats, has_sso)
    assert (entitlements.get_limit(customer.user, "seats"), entitlements.has_feature(customer.user, "sso")) == (
        3,
        False,
    )
    event = AuditEvent.objects.get(action="entitlement.given")
    assert (event.actor, event.target, event.reason) == (staff_member.user.pk, team.pk, "pilot")


def test_a_teams_overrides_are_listed_newest_first_and_can_be_ended(
    admin_ops, staff_member, other, team, django_assert_num_queries
):
    first = give_team(admin_ops, staff_member, team).json()["override"]
    second = give_team(admin_ops, staff_member, team, kind="feature", key="sso").json()["override"]
    give(admin_ops, staff_member, other)

    with django_assert_num_queries(4):
        listed = admin_ops.get(f"/api/admin/teams/{team.pk}/overrides", token=staff_member.token).json()
    ended = admin_ops.post(f"/api/admin/overrides/{first['id']}/end", {"reason": "over"}, token=staff_member.token)

    assert listed == {"overrides": [second, first], "count": 2, "next": None}
    assert (ended.status_code, entitlements.get_limit(team, "seats")) == (200, 3)
    assert AuditEvent.objects.get(action="entitlement.ended").target == team.pk


@pytest.mark.parametrize(("body", "status"), [*UNFIT, ({"kind": "limit", "key": "teams", "value": 5}, 422)])
def test_invalid_input_gives_a_team_nothing(admin_ops, staff_member, team, body, status):
    assert give_team(admin_ops, staff_member, team, **body).status_code == status
    assert not EntitlementOverride.objects.exists()


def test_a_team_that_is_deleted_is_given_nothing(admin_ops, staff_member, team):
    Team.objects.update(deleted_at=timezone.now())

    assert give_team(admin_ops, staff_member, team).status_code == 404
    assert admin_ops.get(f"/api/admin/teams/{team.pk}/overrides", token=staff_member.token).status_code == 404
    assert not EntitlementOverride.objects.exists()


@pytest.mark.parametrize("role", [StaffRole.SUPPORT_READ, StaffRole.AUDITOR])
def test_read_only_staff_see_a_teams_overrides_and_give_none(admin_ops, staff_member, team, role):
    give_team(admin_ops, staff_member, team)
    reader = user_factories.create_staff_member("", role)

    assert give_team(admin_ops, reader, team).status_code == 403
    assert admin_ops.get(f"/api/admin/teams/{team.pk}/overrides", token=reader.token).json()["count"] == 1
    assert EntitlementOverride.objects.count() == 1


def test_an_override_is_ended_once_with_a_reason(admin_ops, customer, staff_member):
    path = f"/api/admin/overrides/{give(admin_ops, staff_member, customer).json()['override']['id']}/end"

    without = admin_ops.post(path, {}, token=staff_member.token)
    first = admin_ops.post(path, {"reason": "paid meanwhile"}, token=staff_member.token)
    second = admin_ops.post(path, {"reason": "paid meanwhile"}, token=staff_member.token)

    assert (without.status_code, first.status_code) == (422, 200)
    assert first.json()["override"]["ended_at"] is not None
    assert (second.status_code, second.json()["code"]) == (409, "override_ended")
    assert entitlements.get_limit(customer.user, "seats") == 3
    assert AuditEvent.objects.get(action="entitlement.ended").reason == "paid meanwhile"


def test_a_trial_ends_later(admin_ops, staff_member, trial):
    later = trial.trial_end + timedelta(days=14)

    answer = extend(admin_ops, staff_member, trial, later)

    assert answer.status_code == 200
    assert datetime.fromisoformat(answer.json()["subscription"]["trial_end"]) == later.replace(microsecond=0)
    assert AuditEvent.objects.get(action="subscription.trial_extended").target == trial.pk


def test_what_is_no_trial_or_no_later_end_is_refused(admin_ops, staff_member, trial):
    earlier = extend(admin_ops, staff_member, trial, datetime(2020, 1, 1, tzinfo=UTC))
    Subscription.objects.update(status="active")
    over = extend(admin_ops, staff_member, trial, trial.trial_end + timedelta(days=1))

    assert earlier.status_code == 422
    assert (over.status_code, over.json()["code"]) == (409, "not_on_trial")


@pytest.mark.parametrize("path", ["sessions/revoke", "password-reset", "unban"])
def test_a_reason_may_be_given_where_none_is_asked_for(admin_ops, customer, staff_member, path):
    if path == "unban":
        admin_ops.put(f"/api/admin/users/{customer.user.pk}/ban", {"reason": "spam"}, token=staff_member.token)
    method = "PUT" if path == "unban" else "POST"

    admin_ops.send(
        method, f"/api/admin/users/{customer.user.pk}/{path}", {"reason": "ticket 7"}, token=staff_member.token
    )

    assert (
        AuditEvent.objects.filter(reason="ticket 7", actor=staff_member.user.pk, target=customer.user.pk).count() == 1
    )


@pytest.fixture
def unmapped(customer):
    """A subscription of Kim's to a price that stands for no plan."""
    Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")
    thing = whole.subscription(whole.subscription_item(whole.price("price_strange", product="prod_strange")))
    append_event(whole.event("customer.subscription.created", thing), source="delivery")
    event_factories.drain()
    return Subscription.objects.get()


def test_staff_map_a_price_to_a_plan(admin_ops, customer, staff_member, unmapped):
    path, body = f"/api/admin/subscriptions/{unmapped.pk}/plan", {"plan_id": "scale", "reason": "an old offer"}

    before = admin_ops.get(f"/api/admin/users/{customer.user.pk}", token=staff_member.token).json()["subscriptions"]
    answer, again = (
        admin_ops.post(path, body, token=staff_member.token),
        admin_ops.post(path, body, token=staff_member.token),
    )

    assert [(row["plan"], row["plan_is_known"]) for row in before] == [(None, False)]
    subscription = answer.json()["subscription"]
    assert (answer.status_code, subscription["plan"], subscription["plan_is_known"]) == (
        200,
        {"id": "scale", "name": "Scale"},
        True,
    )
    assert (again.status_code, again.json()["code"]) == (409, "plan_is_known")
    assert entitlements.get_limit(customer.user, "seats") is None


def test_an_unknown_plan_is_an_alarm_until_staff_map_the_price(admin_ops, customer, staff_member, unmapped):
    open_admin_site(admin_ops, staff_member)
    pages = [f"/admin/accounts/user/{customer.user.pk}/change/", "/admin/"]
    alarm = "nmapped price"

    before = [alarm in admin_ops.get(page).content.decode() for page in pages]
    action_name = f"/admin/billing/subscription/{unmapped.pk}/do/map-price/"
    done = admin_ops.submit_form(action_name, {"reason": "an old offer", "plan": "growth"})
    after = [alarm in admin_ops.get(page).content.decode() for page in pages]

    assert (before, done.status_code, after) == ([True, True], 302, [False, False])
    assert Subscription.objects.get().plan_id == "growth"
