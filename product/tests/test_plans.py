"""What is for sale, for anybody to see."""

from saas.testing.clients import ServiceClient


def test_anybody_sees_the_three_plans_cheapest_first(product: ServiceClient) -> None:
    answer = product.get("/api/subscriptions/plans")

    assert answer.status_code == 200
    assert answer.json()["plans"][0] == {
        "id": "starter",
        "name": "Starter",
        "price_monthly": 19,
        "currency": "usd",
        "features": ["email-support"],
        "limits": {"teams": 1, "seats": 5, "api_keys": 2},
    }
    prices = [(plan["id"], plan["price_monthly"]) for plan in answer.json()["plans"]]
    assert prices == [("starter", 19), ("growth", 79), ("scale", 249)]


def test_the_plans_cost_one_query(product: ServiceClient, django_assert_num_queries) -> None:
    with django_assert_num_queries(1):
        assert product.get("/api/subscriptions/plans").status_code == 200
