"""Buying a plan, over HTTP, with the local provider."""

from decimal import Decimal

import pytest

from saas.audit.models import AuditEvent
from saas.billing.catalogue.prices import change_price
from saas.billing.catalogue.promotions import create_promotion_code
from saas.billing.models import Checkout, Customer, Invoice, PriceTerms, Subscription
from saas.billing.tests.plan_limits import with_added_limits
from saas.teams.roles import Role
from saas.testing.clients import ServiceClient
from saas.testing.factories import team_factories
from saas.testing.factories.user_factories import Person
from saas.webhook_events.models import WebhookEvent


def buy(product: ServiceClient, person: Person, plan: str = "starter", **body: object):
    return product.post("/api/subscriptions/checkout", {"plan_id": plan, **body}, token=person.token)


def test_a_checkout_is_active_at_once(product: ServiceClient, customer: Person) -> None:
    answer = buy(product, customer, "growth")

    assert answer.status_code == 201
    checkout = answer.json()["checkout"]
    assert set(checkout) == {"id", "status", "plan", "started_at", "checkout_url"}
    assert (checkout["status"], checkout["checkout_url"]) == ("active", None)
    assert (checkout["plan"]["id"], checkout["plan"]["price_monthly"]) == ("growth", 79)
    current = product.get("/api/subscriptions/current", token=customer.token).json()["subscription"]
    assert (current["status"], current["plan"]["id"], current["has_access"]) == ("active", "growth", True)
    assert current["cancel_at_period_end"] is False
    assert product.get("/api/billing/entitlements", token=customer.token).json()["limits"]["seats"] == 25


def test_what_the_local_provider_did_stands_in_the_inbox_and_is_processed(
    product: ServiceClient, customer: Person
) -> None:
    buy(product, customer)

    events = WebhookEvent.objects.order_by("id").values_list("type", "status", "source")
    assert list(events) == [
        ("customer.created", "processed", "local"),
        ("customer.subscription.created", "processed", "local"),
        ("invoice.paid", "processed", "local"),
        ("checkout.session.completed", "processed", "local"),
    ]


def test_without_a_subscription_the_current_one_is_null(product: ServiceClient, customer: Person) -> None:
    answer = product.get("/api/subscriptions/current", token=customer.token)

    assert (answer.status_code, answer.json()) == (200, {"subscription": None})


@pytest.mark.parametrize("plan", ["enterprise", "", "STARTER"])
def test_an_unknown_plan_is_not_found_and_nothing_happens(product: ServiceClient, customer: Person, plan: str) -> None:
    answer = buy(product, customer, plan)

    assert answer.status_code == (422 if plan == "" else 404)
    assert (Checkout.objects.count(), Customer.objects.count(), WebhookEvent.objects.count()) == (0, 0, 0)


def test_a_plan_that_is_off_sale_is_not_found(product: ServiceClient, customer: Person) -> None:
    from saas.billing.models import Plan

    Plan.objects.filter(pk="scale").update(is_active=False)

    assert buy(product, customer, "scale").status_code == 404
    assert Checkout.objects.count() == 0


def test_a_second_subscription_is_refused(product: ServiceClient, customer: Person) -> None:
    buy(product, customer)

    answer = buy(product, customer, "growth")

    assert (answer.status_code, answer.json()["code"]) == (409, "already_subscribed")
    assert (Subscription.objects.count(), Checkout.objects.count()) == (1, 1)


def test_the_same_key_twice_is_one_answer(product: ServiceClient, customer: Person) -> None:
    def send():
        headers = {"Idempotency-Key": "click-1"}
        return product.post(
            "/api/subscriptions/checkout", {"plan_id": "starter"}, token=customer.token, headers=headers
        )

    first, second = send(), send()

    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert (Subscription.objects.count(), Checkout.objects.count()) == (1, 1)


def test_a_key_that_was_used_for_another_plan_is_refused(product: ServiceClient, customer: Person) -> None:
    headers = {"Idempotency-Key": "click-1"}
    product.post("/api/subscriptions/checkout", {"plan_id": "starter"}, token=customer.token, headers=headers)

    answer = product.post("/api/subscriptions/checkout", {"plan_id": "scale"}, token=customer.token, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["a b", "é", "x" * 256])
def test_a_key_of_other_characters_is_refused(product: ServiceClient, customer: Person, key: str) -> None:
    headers = {"Idempotency-Key": key}

    answer = product.post("/api/subscriptions/checkout", {"plan_id": "starter"}, token=customer.token, headers=headers)

    assert answer.status_code == 422
    assert Checkout.objects.count() == 0


def test_two_people_may_use_the_same_key(product: ServiceClient, customer: Person, other: Person) -> None:
    headers = {"Idempotency-Key": "click-1"}
    body = {"plan_id": "starter"}

    first = product.post("/api/subscriptions/checkout", body, token=customer.token, headers=headers)
    second = product.post("/api/subscriptions/checkout", body, token=other.token, headers=headers)

    assert (first.status_code, second.status_code) == (201, 201)
    assert Subscription.objects.count() == 2


def test_amount_and_status_in_the_body_change_nothing(product: ServiceClient, customer: Person) -> None:
    buy(product, customer, "scale", price_monthly=1, status="active", trial_days=900)

    row = Subscription.objects.get()
    assert (row.monthly_cents, row.currency, row.trial_end) == (24_900, "usd", None)


def test_a_checkout_is_its_buyers_to_see(product: ServiceClient, customer: Person, other: Person) -> None:
    started = buy(product, customer).json()["checkout"]
    path = f"/api/subscriptions/checkout/{started['id']}"

    assert product.get(path, token=customer.token).json()["checkout"] == started
    assert product.get(path, token=other.token).status_code == 404
    assert product.get("/api/subscriptions/checkout/chk_none", token=customer.token).status_code == 404


def test_an_owner_buys_for_her_team(product: ServiceClient, customer: Person, other: Person) -> None:
    team = team_factories.create_team(customer)

    answer = buy(product, customer, "growth", team_id=team.pk)

    assert (answer.status_code, answer.json()["checkout"]["status"]) == (201, "active")
    path = f"/api/subscriptions/current?team_id={team.pk}"
    assert product.get(path, token=customer.token).json()["subscription"]["plan"]["id"] == "growth"
    assert product.get("/api/subscriptions/current", token=customer.token).json()["subscription"] is None
    team_factories.add_member(team, Role.VIEWER, other)
    assert product.get(path, token=other.token).json()["subscription"]["plan"]["id"] == "growth"  # members see the plan
    limits = product.get(f"/api/billing/entitlements?team_id={team.pk}", token=customer.token).json()["limits"]
    assert limits == with_added_limits({"teams": 10, "seats": 25, "api_keys": 10})


def test_for_a_team_of_others_there_is_nothing_to_buy(product: ServiceClient, customer: Person, other: Person) -> None:
    team = team_factories.create_team(customer)

    stranger = buy(product, other, team_id=team.pk)
    team_factories.add_member(team, Role.ADMIN, other)
    member = buy(product, other, team_id=team.pk)

    assert (stranger.status_code, member.status_code) == (404, 403)
    assert Checkout.objects.count() == 0


@pytest.mark.parametrize(
    ("call", "more"),
    [("checkout", {}), ("change", {}), ("change", {"when": "period_end"}), ("change/preview", {})],
)
def test_no_fewer_seats_are_bought_than_are_taken(
    product: ServiceClient, customer: Person, other: Person, call: str, more: dict[str, str]
) -> None:
    change_price("scale", PriceTerms("usd", "month", 1_000, is_per_unit=True), by="system")
    team = team_factories.create_team(customer)
    team_factories.add_member(team, Role.MEMBER, other)
    if call != "checkout":
        buy(product, customer, team_id=team.pk)
    body = {"plan_id": "scale", "team_id": team.pk, **more}

    too_few = product.post(f"/api/subscriptions/{call}", {**body, "quantity": 1}, token=customer.token)
    enough = product.post(f"/api/subscriptions/{call}", {**body, "quantity": 2}, token=customer.token)

    assert (too_few.status_code, list(too_few.json()["errors"])) == (422, ["quantity"])
    assert enough.status_code == (201 if call == "checkout" else 200)


def test_the_current_subscription_costs_three_queries(
    product: ServiceClient, customer: Person, django_assert_num_queries
) -> None:
    buy(product, customer)

    with django_assert_num_queries(4):  # who, the clock twice, the subscription with its plan
        assert product.get("/api/subscriptions/current", token=customer.token).status_code == 200


def test_starting_is_audited_once(product: ServiceClient, customer: Person) -> None:
    started = buy(product, customer).json()["checkout"]
    buy(product, customer)

    rows = AuditEvent.objects.filter(action="checkout.started").values_list("actor", "target")
    assert list(rows) == [(customer.user.pk, started["id"])]


@pytest.mark.parametrize(
    "body", [{}, {"plan_id": 5}, {"plan_id": None}, {"plan_id": ["starter"]}, {"plan_id": "x" * 33}]
)
def test_a_body_without_a_plan_is_not_valid(product: ServiceClient, customer: Person, body: dict[str, object]) -> None:
    answer = product.post("/api/subscriptions/checkout", body, token=customer.token)

    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["plan_id"])


def test_nobody_buys_without_logging_in(product: ServiceClient) -> None:
    assert product.post("/api/subscriptions/checkout", {"plan_id": "starter"}).status_code == 401
    assert product.get("/api/subscriptions/current").status_code == 401


def test_changing_the_plan_takes_effect_at_once(product: ServiceClient, customer: Person) -> None:
    buy(product, customer)

    preview = product.post("/api/subscriptions/change/preview", {"plan_id": "growth"}, token=customer.token)
    answer = product.post("/api/subscriptions/change", {"plan_id": "growth"}, token=customer.token)

    assert preview.json()["preview"]["next_invoice_cents"] == 13_900  # 79, and the difference for a whole month
    assert (answer.status_code, answer.json()["subscription"]["plan"]["id"]) == (200, "growth")
    moves = Subscription.objects.get().ledger.order_by("number").values_list("kind", "delta_cents")
    assert list(moves) == [("new", 1_900), ("upgrade", 6_000)]


@pytest.mark.parametrize(("plan", "status", "code"), [("starter", 409, "same_plan"), ("none", 404, "not_found")])
def test_a_change_that_makes_no_sense_is_refused(
    product: ServiceClient, customer: Person, plan: str, status: int, code: str
) -> None:
    buy(product, customer)

    answer = product.post("/api/subscriptions/change", {"plan_id": plan}, token=customer.token)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert Subscription.objects.get().plan_id == "starter"


def test_canceling_at_the_periods_end_can_be_taken_back(product: ServiceClient, customer: Person) -> None:
    buy(product, customer)

    canceled = product.post("/api/subscriptions/cancel", {"reason": "too dear"}, token=customer.token).json()
    resumed = product.post("/api/subscriptions/resume", token=customer.token).json()
    again = product.post("/api/subscriptions/resume", token=customer.token)

    assert canceled["subscription"]["cancel_at_period_end"] is True
    assert (canceled["subscription"]["status"], canceled["subscription"]["has_access"]) == ("active", True)
    assert resumed["subscription"]["cancel_at_period_end"] is False
    assert (again.status_code, again.json()["code"]) == (409, "nothing_to_resume")


def test_canceling_at_once_ends_the_access_and_one_can_buy_again(product: ServiceClient, customer: Person) -> None:
    buy(product, customer)

    answer = product.post("/api/subscriptions/cancel", {"at_period_end": False}, token=customer.token)

    assert (answer.json()["subscription"]["status"], answer.json()["subscription"]["has_access"]) == ("canceled", False)
    assert product.get("/api/subscriptions/current", token=customer.token).json() == {"subscription": None}
    assert buy(product, customer, "growth").status_code == 201


@pytest.mark.parametrize("path", ["cancel", "resume", "change"])
def test_without_a_subscription_there_is_nothing_to_do(product: ServiceClient, customer: Person, path: str) -> None:
    answer = product.post(f"/api/subscriptions/{path}", {"plan_id": "growth"}, token=customer.token)

    assert (answer.status_code, answer.json()["code"]) == (409, "not_subscribed")


def test_a_checkout_by_the_year_in_another_currency_with_a_code(product: ServiceClient, customer: Person) -> None:
    change_price("growth", PriceTerms("eur", "year", 75_000), by="system")
    create_promotion_code("WELCOME", by="system", percent_off=Decimal(10), duration="once")

    answer = buy(product, customer, "growth", interval="year", currency="eur", promotion_code="welcome")

    assert (answer.status_code, answer.json()["checkout"]["status"]) == (201, "active")
    assert [(it.currency, it.total_cents) for it in Invoice.objects.all()] == [("eur", 67_500)]


@pytest.mark.parametrize(
    ("field", "value"),
    [("currency", "xxx"), ("interval", "week"), ("quantity", 0), ("quantity", 2), ("promotion_code", "none")],
)
def test_terms_that_are_not_sold_are_422(product: ServiceClient, customer: Person, field: str, value: object) -> None:
    answer = buy(product, customer, "growth", **{field: value})

    assert (answer.status_code, list(answer.json()["errors"])) == (422, [field])
    assert not Checkout.objects.exists()


@pytest.mark.parametrize(("status", "answer"), [("active", 409), ("past_due", 409), ("canceled", 201)])
def test_a_live_subscription_at_an_earlier_provider_blocks_a_checkout(
    product: ServiceClient, customer: Person, status: str, answer: int
) -> None:
    earlier = Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_earlier")
    Subscription.objects.create(customer=earlier, external_id="sub_earlier", status=status)

    started = product.post("/api/subscriptions/checkout", {"plan_id": "starter"}, token=customer.token)

    assert started.status_code == answer
    assert Checkout.objects.count() == (answer == 201)
    if answer == 409:
        assert started.json()["code"] == "already_subscribed"


def test_a_downgrade_is_planned_for_the_periods_end_shown_and_called_off(product, customer):
    product.post("/api/subscriptions/checkout", {"plan_id": "growth"}, token=customer.token)
    body = {"plan_id": "starter", "when": "period_end"}

    planned = product.post("/api/subscriptions/change", body, token=customer.token).json()["subscription"]
    shown = product.get("/api/subscriptions/current", token=customer.token).json()["subscription"]
    ended = product.post("/api/subscriptions/change/cancel", token=customer.token)
    again = product.post("/api/subscriptions/change/cancel", token=customer.token)

    assert planned["plan"]["id"] == shown["plan"]["id"] == "growth"
    assert planned["pending_change"] == shown["pending_change"]
    assert shown["pending_change"] == {
        "plan_id": "starter", "interval": "month", "quantity": 1, "at": shown["current_period_end"],
    }  # fmt: skip
    assert (ended.status_code, ended.json()["subscription"]["pending_change"]) == (200, None)
    assert (again.status_code, again.json()["code"]) == (409, "nothing_pending")
