"""Subscriptions and revenue, for staff."""

import pytest
from django.utils import timezone

from saas.accounts.models import StaffRole
from saas.billing.models import Customer, Invoice, Plan, Subscription
from saas.testing.factories import user_factories
from saas.webhook_events.models import WebhookEvent


@pytest.fixture
def plans(db):
    rows = [("starter", 1900), ("growth", 7900), ("scale", 24900)]
    return {
        id: Plan.objects.get_or_create(id=id, defaults={"name": id.title(), "price_cents": cents})[0]
        for id, cents in rows
    }


@pytest.fixture
def subscribe(plans):
    def subscribe(person, plan, *, status="active", currency="usd", **fields):
        user = person.user if person else None
        number = Subscription.objects.count()
        customer, _ = Customer.objects.get_or_create(
            user=user, provider="stripe", defaults={"external_id": f"cus_{number}", "email": "stub@example.net"}
        )
        cents = plans[plan].price_cents
        return Subscription.objects.create(
            external_id=f"sub_at_provider_{number}", customer=customer, status=status, plan=plans[plan],
            currency=currency, monthly_cents=cents, **fields,
        )  # fmt: skip

    return subscribe


def test_subscriptions_are_listed_newest_first_with_their_owners(
    admin_ops, customer, other, staff_member, subscribe, django_assert_num_queries
):
    own, others = subscribe(customer, "starter"), subscribe(other, "growth", cancel_at_period_end=True)

    with django_assert_num_queries(3):
        body = admin_ops.get("/api/admin/subscriptions", token=staff_member.token).json()

    assert (body["count"], body["next"]) == (2, None)
    assert [row["id"] for row in body["subscriptions"]] == sorted([own.id, others.id], reverse=True)
    row = next(row for row in body["subscriptions"] if row["id"] == others.id)
    assert row == {
        "id": others.id,
        "user_id": other.user.id,
        "team_id": None,
        "email": other.user.email,
        "plan": {"id": "growth", "name": "Growth"},
        "status": "active",
        "price_monthly": 79,
        "currency": "usd",
        "quantity": 1,
        "current_period_end": None,
        "cancel_at_period_end": True,
        "cancel_at": None,
        "plan_is_known": True,
        "started_at": row["started_at"],
        "ended_at": None,
        "trial_end": None,
        "external_id": others.external_id,
    }


def test_subscriptions_are_filtered_and_a_stub_has_no_user(admin_ops, customer, staff_member, subscribe):
    subscribe(customer, "starter", status="canceled")
    subscribe(None, "scale")

    def found(query):
        rows = admin_ops.get(f"/api/admin/subscriptions?{query}", token=staff_member.token).json()["subscriptions"]
        return [(row["plan"]["id"], row["user_id"], row["email"]) for row in rows]

    assert found("status=canceled") == [("starter", customer.user.id, customer.user.email)]
    assert found("plan=scale") == [("scale", None, "stub@example.net")]
    assert found("plan=unknown") == []


def test_people_are_found_by_plan(admin_ops, customer, other, staff_member, subscribe):
    subscribe(customer, "starter")
    subscribe(other, "growth", status="canceled")

    def found(plan):
        rows = admin_ops.get(f"/api/admin/users?plan={plan}", token=staff_member.token).json()["users"]
        return {row["id"] for row in rows}

    assert found("starter") == {customer.user.id}
    assert found("growth") == set()
    assert found("none") == {other.user.id, staff_member.user.id}


def test_a_users_page_shows_subscriptions_and_webhook_events(admin_ops, customer, staff_member, subscribe):
    subscription = subscribe(customer, "starter")
    billing_customer = subscription.customer
    Invoice.objects.create(external_id="in_1", customer=billing_customer, number="A-1", status="paid", total_cents=1950)
    WebhookEvent.objects.create(
        external_id="evt_1", type="invoice.paid", customer_id=billing_customer.external_id, provider_created=timezone.now(),
        body_sha256="", body_size=2,
    )  # fmt: skip

    body = admin_ops.get(f"/api/admin/users/{customer.user.id}", token=staff_member.token).json()

    assert [row["id"] for row in body["subscriptions"]] == [subscription.id]
    assert [(row["number"], row["total"]) for row in body["invoices"]] == [("A-1", 19.5)]
    assert [(row["event_id"], row["event_type"]) for row in body["events"]] == [("evt_1", "invoice.paid")]
    assert [row["template"] for row in body["mails"]] == ["welcome"]


@pytest.mark.parametrize("path", ["/api/admin/subscriptions", "/api/admin/metrics/revenue", "/api/admin/metrics/users"])
def test_metrics_are_for_staff_with_a_role(admin_ops, customer, path):
    without_role = user_factories.create_staff_member("", StaffRole.AUDITOR)
    assert admin_ops.get(path, token=without_role.token).status_code == 200

    without_role.user.groups.clear()

    assert admin_ops.get(path, token=without_role.token).status_code == 403
    assert admin_ops.get(path, token=customer.token).status_code == 401
    assert admin_ops.get(path).status_code == 401
