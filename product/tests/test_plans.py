"""What is for sale, for anybody to see."""

import pytest

from saas.billing.catalogue.prices import change_price, retire_price
from saas.billing.models import Plan, Price, PriceTerms
from saas.billing.tests.plan_limits import with_added_limits
from saas.testing.clients import ServiceClient
from saas.testing.factories.user_factories import Person


def test_anybody_sees_the_three_plans_cheapest_first(product: ServiceClient) -> None:
    answer = product.get("/api/subscriptions/plans")

    assert answer.status_code == 200
    assert answer.json()["plans"][0] == {
        "id": "starter",
        "name": "Starter",
        "price_monthly": 19,
        "currency": "usd",
        "features": ["email-support"],
        "limits": with_added_limits({"teams": 1, "seats": 5, "api_keys": 2}),
    }
    prices = [(plan["id"], plan["price_monthly"]) for plan in answer.json()["plans"]]
    assert prices == [("starter", 19), ("growth", 79), ("scale", 249)]


def test_everything_that_is_sold_stands_in_prices(product: ServiceClient, catalogue: None) -> None:
    answer = product.get("/api/subscriptions/plans").json()

    growth = next(plan for plan in answer["plans"] if plan["id"] == "growth")
    assert growth["price_monthly"] == 79
    shown = [
        (it["plan"]["id"], it["interval"], it["currency"], it["amount"], it["per_unit"]) for it in answer["prices"]
    ]
    assert [it for it in shown if it[0] in {"growth", "team"}] == [
        ("team", "month", "eur", 8.5, True),
        ("growth", "month", "jpy", 9000, False),
        ("growth", "month", "usd", 79, False),
        ("growth", "year", "usd", 790, False),
    ]
    assert next(it for it in answer["prices"] if it["plan"]["id"] == "team") == {
        "plan": {
            "id": "team",
            "name": "Team",
            "description": "For teams of any size",
            "features": ["email-support"],
            "limits": with_added_limits({"teams": 1, "seats": None, "api_keys": 1}),
        },
        "interval": "month",
        "currency": "eur",
        "amount": 8.5,
        "amount_cents": 850,
        "per_unit": True,
        "included_quantity": 3,
        "trial_days": 14,
    }


def test_a_plan_without_a_price_by_the_month_in_the_default_currency_stands_in_prices_only(
    product: ServiceClient, catalogue: None
) -> None:
    answer = product.get("/api/subscriptions/plans").json()

    assert "team" not in {plan["id"] for plan in answer["plans"]}
    assert {type(plan["price_monthly"]) for plan in answer["plans"]} <= {int, float} != set()


@pytest.mark.parametrize("change", [{"is_visible": False}, {"is_active": False}])
def test_hidden_and_archived_plans_are_not_listed(product: ServiceClient, db: None, change) -> None:
    Plan.objects.filter(pk="growth").update(**change)

    answer = product.get("/api/subscriptions/plans").json()

    assert "growth" not in {plan["id"] for plan in answer["plans"]} | {it["plan"]["id"] for it in answer["prices"]}


@pytest.fixture
def catalogue(db: None) -> None:
    for currency, interval, cents in (("usd", "year", 79_000), ("jpy", "month", 9_000)):
        change_price("growth", PriceTerms(currency, interval, cents), by="system")
    limits = {"seats": None}
    Plan.objects.create(
        id="team",
        name="Team",
        description="For teams of any size",
        features=["email-support"],
        limits=limits,
        trial_days=14,
    )
    change_price("team", PriceTerms("eur", "month", 850, is_per_unit=True, included_quantity=3), by="system")


def test_the_plans_cost_two_queries(product: ServiceClient, django_assert_num_queries) -> None:
    with django_assert_num_queries(2):  # the plans, their prices
        assert product.get("/api/subscriptions/plans").status_code == 200


@pytest.mark.django_db
def test_a_demonstration_sells_by_the_year_too_and_leaves_changed_prices_alone() -> None:
    from saas.billing.catalogue import seed_yearly_prices
    from saas.billing.models import Price

    change_price("scale", PriceTerms("usd", "year", 1), by="system")

    for _ in range(2):
        seed_yearly_prices()

    yearly = (
        Price.objects.filter(interval="year").order_by("unit_amount_cents").values_list("plan", "unit_amount_cents")
    )
    assert list(yearly) == [("scale", 1), ("starter", 19_000), ("growth", 79_000)]


def test_a_bought_plan_that_is_no_longer_sold_by_the_month_has_no_such_price(
    product: ServiceClient, customer: Person
) -> None:
    product.post("/api/subscriptions/checkout", {"plan_id": "growth"}, token=customer.token)

    retire_price(Price.objects.current("local").get(plan="growth", interval="month"), by="system")

    plan = product.get("/api/subscriptions/current", token=customer.token).json()["subscription"]["plan"]
    assert (plan["id"], plan["price_monthly"]) == ("growth", None)
