"""The local provider's page, clicked through: pay, be declined, walk away."""

import re
from decimal import Decimal

import pytest

from saas.billing.catalogue.promotions import create_promotion_code
from saas.billing.models import Checkout, LedgerEntry, LocalObject, Subscription
from saas.billing.providers.local.operations import DECLINES
from saas.testing import local_provider
from saas.testing.clients import ServiceClient
from saas.testing.factories import team_factories
from saas.testing.factories.user_factories import Person
from saas.webhook_events.models import WebhookEvent


def open_checkout(product: ServiceClient, person: Person, **more: object) -> str:
    body = {"plan_id": "growth", **more}
    checkout = product.post("/api/subscriptions/checkout", body, token=person.token).json()["checkout"]
    assert checkout["status"] == "pending"
    return checkout["checkout_url"].removeprefix("http://localhost:8000")


@pytest.fixture
def path(product: ServiceClient, customer: Person, settings) -> str:
    settings.BILLING_LOCAL_CHECKOUT = "hosted"
    return open_checkout(product, customer)


def press(product: ServiceClient, path: str, card: str = "4242", act: str = "pay", code: str = ""):
    product.get("/api/auth/csrf")
    token = product.cookies["product_csrf"].value
    fields = f"act={act}&card={card}&code={code}&csrfmiddlewaretoken={token}"
    return product.generic("POST", path, fields, content_type="application/x-www-form-urlencoded")


def text_of(page) -> str:
    return page.content.decode()


def test_the_page_shows_the_plan_and_grants_nothing(product: ServiceClient, path: str) -> None:
    page = product.get(path)

    assert page.status_code == 200
    assert "Subscribe to Growth" in text_of(page)
    assert page.headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert "<script" not in text_of(page)
    assert not Subscription.objects.exists()


def test_paying_leads_on_and_what_was_paid_comes_by_signed_events(
    product: ServiceClient, customer: Person, path: str
) -> None:
    answer = press(product, path)

    assert (answer.status_code, answer.headers["Location"]) == (302, path)
    assert "Your subscription to Growth has begun." in text_of(product.get(path))
    assert not Subscription.objects.exists()
    local_provider.deliver_events()
    assert current(product, customer) == ("active", "growth")
    assert set(WebhookEvent.objects.exclude(type="customer.created").values_list("source", flat=True)) == {"delivery"}
    cards = product.get("/api/billing/payment-methods", token=customer.token).json()["payment_methods"]
    assert [(card["last4"], card["is_default"]) for card in cards] == [("4242", True)]


def current(product: ServiceClient, person: Person) -> tuple[str, str]:
    row = product.get("/api/subscriptions/current", token=person.token).json()["subscription"]
    return row["status"], row["plan"]["id"]


def test_the_return_page_asks_and_never_waits_for_an_event(product: ServiceClient, customer: Person, path: str) -> None:
    press(product, path)
    checkout = Checkout.objects.get()

    page = product.get(f"/billing/success?checkout_id={checkout.pk}")

    assert "Your subscription to Growth is active." in text_of(page)
    assert current(product, customer) == ("active", "growth")
    local_provider.deliver_events()  # the signed events come late, and change nothing
    assert current(product, customer) == ("active", "growth")
    assert list(LedgerEntry.objects.values_list("kind", "delta_cents")) == [("new", 7900)]


def test_before_the_payment_the_return_page_waits(product: ServiceClient, path: str) -> None:
    page = text_of(product.get(f"/billing/success?checkout_id={Checkout.objects.get().pk}"))

    assert "Waiting for your payment" in page
    assert f'href="http://localhost:8000{path}"' in page


def test_paying_twice_is_refused_and_makes_one_subscription(product: ServiceClient, path: str) -> None:
    press(product, path)

    again = press(product, path)

    local_provider.deliver_events()
    assert again.status_code == 409
    assert Subscription.objects.count() == 1


@pytest.mark.parametrize(("card", "sentence"), DECLINES.items())
def test_a_declined_card_says_why_and_leaves_the_page_open(
    product: ServiceClient, path: str, card: str, sentence: str
) -> None:
    page = press(product, path, card)

    assert (page.status_code, sentence in text_of(page)) == (409, True)
    assert Checkout.objects.get().status == "pending"
    assert not LocalObject.objects.undelivered().exists()


def test_a_promotion_code_is_entered_on_the_page_once_per_person(product: ServiceClient, path: str) -> None:
    create_promotion_code("SPRING", by="system", percent_off=Decimal(50), duration="once")

    assert press(product, path, act="code", code="spring").status_code == 302

    assert Checkout.objects.get().promotion_code == "SPRING"
    Checkout.objects.update(status="active")
    again = press(product, path, act="code", code="spring")
    assert (again.status_code, "You have used this code already." in text_of(again)) == (422, True)


def test_what_was_bought_at_once_has_no_page(product: ServiceClient, customer: Person) -> None:
    product.post("/api/subscriptions/checkout", {"plan_id": "growth"}, token=customer.token)

    assert product.get(f"/checkout/{Checkout.objects.get().external_id}").status_code == 404


def test_a_card_that_is_not_offered_is_not_taken(product: ServiceClient, path: str) -> None:
    assert press(product, path, "1234").status_code == 422


def test_walking_away_ends_the_checkout_and_the_next_one_is_new(
    product: ServiceClient, customer: Person, path: str
) -> None:
    press(product, path, act="leave")

    assert "This checkout is over." in text_of(product.get(path))
    local_provider.deliver_events()
    assert Checkout.objects.get().status == "expired"
    again = product.post("/api/subscriptions/checkout", {"plan_id": "growth"}, token=customer.token)
    assert again.json()["checkout"]["checkout_url"] != f"http://localhost:8000{path}"


@pytest.mark.parametrize("of_team", [False, True])
def test_walking_away_leads_back_to_the_plans_of_person_or_team(
    product: ServiceClient, customer: Person, settings, of_team: bool
) -> None:
    settings.BILLING_LOCAL_CHECKOUT = "hosted"
    team_id = team_factories.create_team(customer).pk if of_team else ""
    path = open_checkout(product, customer, team_id=team_id)
    press(product, path, act="leave")

    [back] = re.findall(r'href="http://localhost:8000(/billing/cancel[^"]*)"', text_of(product.get(path)))

    plans = f"/teams/{team_id}/billing/plans" if of_team else "/billing/plans"
    assert f'href="{plans}"' in text_of(product.get(back))


def test_whoever_left_and_comes_back_at_once_gets_a_new_checkout(
    product: ServiceClient, customer: Person, path: str
) -> None:
    press(product, path, act="leave")

    again = product.post("/api/subscriptions/checkout", {"plan_id": "growth"}, token=customer.token)

    assert again.json()["checkout"]["checkout_url"] != f"http://localhost:8000{path}"


def test_what_was_paid_in_another_tab_counts(product: ServiceClient, customer: Person, path: str) -> None:
    press(product, path)

    again = product.post("/api/subscriptions/checkout", {"plan_id": "growth"}, token=customer.token)

    assert (again.status_code, again.json()["code"]) == (409, "already_subscribed")


def test_a_trial_shows_its_end_and_costs_nothing_today(product: ServiceClient, customer: Person, settings) -> None:
    settings.BILLING_LOCAL_CHECKOUT, settings.BILLING_TRIAL_DAYS = "hosted", 14
    path = open_checkout(product, customer)
    assert "Start the trial" in text_of(product.get(path))

    press(product, path)

    local_provider.deliver_events()
    assert current(product, customer) == ("trialing", "growth")
    assert Checkout.objects.get().status == "active"


def test_another_plan_replaces_the_open_checkout(product: ServiceClient, customer: Person, path: str) -> None:
    product.post("/api/subscriptions/checkout", {"plan_id": "starter"}, token=customer.token)

    assert press(product, path).status_code == 409
    assert not Subscription.objects.exists()
    assert sorted(Checkout.objects.values_list("plan_id", "status")) == [("growth", "expired"), ("starter", "pending")]


def test_a_press_from_another_site_is_refused(product: ServiceClient, path: str) -> None:
    answer = product.generic("POST", path, "card=4242", content_type="application/x-www-form-urlencoded")

    assert answer.status_code == 403
    assert not Subscription.objects.exists()


@pytest.mark.parametrize("mode", ["instant", "hosted"])
def test_an_unknown_session_has_no_page(product: ServiceClient, settings, mode: str) -> None:
    settings.BILLING_LOCAL_CHECKOUT = mode

    assert product.get("/checkout/cs_local_none").status_code == 404


@pytest.mark.parametrize("where", ["success", "cancel"])
def test_a_payment_page_leads_back_to_a_page(product: ServiceClient, where: str) -> None:
    assert product.get(f"/billing/{where}?checkout_id=chk_1").status_code == 200
