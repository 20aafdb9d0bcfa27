"""The monthly revenue of a subscription, for every shape of price."""

from typing import Any

import pytest

from saas.billing.sync.recurring_revenue import monthly_amount

MONTHLY = {"interval": "month", "interval_count": 1}


def line(cents: int, quantity: int | None = 1, *, recurring: dict[str, Any] = MONTHLY, **fields: Any) -> dict[str, Any]:
    return {"price": {"unit_amount": cents, "recurring": recurring}, "quantity": quantity, **fields}


def coupon(duration: str, **off: Any) -> dict[str, Any]:
    return {"object": "discount", "coupon": {"duration": duration, "percent_off": None, "amount_off": None, **off}}


@pytest.mark.parametrize(
    ("lines", "cents"),
    [
        ([line(1900), line(500, 4)], 3900),
        ([line(1900), line(12_000, recurring={"interval": "year", "interval_count": 1})], 2900),
        ([line(7, recurring={"interval": "day", "interval_count": 1})], 213),  # 365 days are twelve months
        ([line(1000, recurring={"interval": "week", "interval_count": 2})], 2167),
        ([line(1000, recurring={"interval": "year", "interval_count": 3}), line(1000)], 1028),
        ([line(1900, 0)], 0),
        ([line(1900), line(5, None, recurring={**MONTHLY, "usage_type": "metered"})], 1900),
        ([line(-1900), line(1900)], 1900),
    ],
)
def test_all_lines_count_by_the_month(lines: list[dict[str, Any]], cents: int) -> None:
    assert monthly_amount({"items": {"data": lines}}).cents == cents


@pytest.mark.parametrize(("rounding", "cents"), [("up", 3000), ("down", 2000)])
def test_a_price_per_package_counts_packages(rounding: str, cents: int) -> None:
    packaged = line(1000, 25)
    packaged["price"]["transform_quantity"] = {"divide_by": 10, "round": rounding}

    assert monthly_amount({"items": {"data": [packaged]}}).cents == cents


@pytest.mark.parametrize(
    ("discounted", "cents"),
    [
        ({"discount": coupon("forever", percent_off=25)}, 9000),
        ({"discount": coupon("forever", percent_off=12.5)}, 10_500),
        ({"discount": coupon("repeating", amount_off=6000)}, 11_500),  # off each yearly invoice
        ({"discount": coupon("once", percent_off=50)}, 12_000),
        ({"discount": coupon("forever", percent_off=100)}, 0),
        ({"discount": coupon("forever", amount_off=10**9)}, 0),
        ({"discounts": ["di_1"]}, 12_000),  # an id tells nothing
        ({"discounts": [coupon("forever", percent_off=50), coupon("forever", amount_off=12_000)]}, 5000),
        ({"discounts": [{"source": {"type": "coupon", "coupon": {"duration": "forever", "percent_off": 50}}}]}, 6000),
        ({"discount": None, "discounts": []}, 12_000),
    ],
)
def test_a_discount_that_lasts_is_no_revenue(discounted: dict[str, Any], cents: int) -> None:
    yearly = line(144_000, recurring={"interval": "year", "interval_count": 1})

    assert monthly_amount({"items": {"data": [yearly]}, **discounted}).cents == cents


def test_a_discount_of_one_line_leaves_the_others_alone() -> None:
    lines = [line(1000, discounts=[coupon("forever", percent_off=50)]), line(1000)]

    assert monthly_amount({"items": {"data": lines}}).cents == 1500


def test_a_discount_counts_once_where_the_subscription_is_its_only_line() -> None:
    old = {"plan": {"amount": 1000, "interval": "month"}, "quantity": 2, "discount": coupon("forever", percent_off=50)}

    assert monthly_amount(old).cents == 1000
