"""``/`` of Product: the plans as they are sold."""

import re

import pytest

from saas.billing.catalogue.seeding import seed_plans
from saas.billing.models import Plan, Price
from saas.testing.clients import ServiceClient

HTML = {"Accept": "text/html"}


@pytest.fixture
def plans(db) -> None:
    seed_plans()


def add_price(plan: str, amount: int, currency: str, interval: str) -> None:
    Price.objects.create(
        plan_id=plan, provider="local", external_id=f"price_{plan}_{currency}_{interval}", is_current=True,
        unit_amount_cents=amount, currency=currency, interval=interval,
    )  # fmt: skip


def prices(page) -> list[str]:
    return re.findall(r'class="price">([^<]+?) <small>', page.content.decode())


@pytest.mark.usefixtures("plans")
def test_the_plans_are_those_of_the_catalogue_with_limits_and_features(product: ServiceClient) -> None:
    page = product.get("/", headers=HTML)

    html = page.content.decode()
    assert prices(page) == ["19 USD", "79 USD", "249 USD"]
    assert ("Seats in a team: 25" in html, "Teams: no limit" in html, "Priority support" in html) == (True, True, True)
    assert 'href="/register"' in html
    assert 'class="switch"' not in html  # one interval, one currency: nothing to choose
    assert "noindex" not in html


@pytest.mark.usefixtures("plans")
def test_another_interval_and_currency_are_links(product: ServiceClient) -> None:
    add_price("starter", 19_000, "usd", "year")
    add_price("growth", 70_00, "eur", "month")

    yearly = product.get("/?interval=year&currency=usd", headers=HTML)
    euro = product.get("/?currency=EUR", headers=HTML)

    assert prices(yearly) == ["190 USD"]
    assert "that is 15.83 USD a month" in yearly.content.decode()
    assert '<a href="?interval=month&amp;currency=usd#plans">Monthly</a>' in yearly.content.decode()
    assert prices(euro) == ["70 EUR"]


@pytest.mark.usefixtures("plans")
@pytest.mark.parametrize(
    "query", ["?interval=decade", "?currency=xyz", "?currency=%3Cscript%3E", "?interval=" + "a" * 300]
)
def test_nonsense_in_the_query_shows_the_usual_prices(product: ServiceClient, query: str) -> None:
    assert prices(product.get(f"/{query}", headers=HTML)) == ["19 USD", "79 USD", "249 USD"]


@pytest.mark.usefixtures("plans")
def test_a_plan_that_is_not_sold_is_not_shown(product: ServiceClient) -> None:
    Plan.objects.filter(pk="scale").update(is_visible=False)

    assert prices(product.get("/", headers=HTML)) == ["19 USD", "79 USD"]


def test_without_billing_there_are_no_plans(product: ServiceClient, db, settings) -> None:
    settings.BILLING = False

    page = product.get("/", headers=HTML)

    assert (page.status_code, prices(page)) == (200, [])


def test_a_plan_is_chosen_by_registering_first(product: ServiceClient, plans: None) -> None:
    html = product.get("/", headers=HTML).content.decode()

    assert 'href="/register?next=/billing/checkout%3Fplan%3Dgrowth%26interval%3Dmonth%26currency%3Dusd"' in html
