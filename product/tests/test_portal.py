"""The local provider's portal, clicked through."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from saas.billing import providers
from saas.billing.catalogue.prices import change_price
from saas.billing.catalogue.promotions import create_promotion_code
from saas.billing.models import Customer, Invoice, LocalObject, PaymentMethod, PriceTerms, Subscription
from saas.testing import local_provider
from saas.testing.clients import ServiceClient
from saas.testing.factories.user_factories import Person
from saas.webhook_events.models import WebhookEvent

GROWTH = "price_local_growth_7900"


@pytest.fixture
def path(product: ServiceClient, customer: Person) -> str:
    product.post("/api/subscriptions/checkout", {"plan_id": "starter"}, token=customer.token)
    answer = product.post("/api/billing/portal", token=customer.token)
    assert answer.status_code == 201
    return answer.json()["url"].removeprefix("http://localhost:8000")


def press(product: ServiceClient, path: str, act: str, **fields: str) -> Any:
    product.get("/api/auth/csrf")
    sent = {"act": act, "csrfmiddlewaretoken": product.cookies["product_csrf"].value, **fields}
    body = "&".join(f"{name}={value}" for name, value in sent.items())
    return product.generic("POST", path, body, content_type="application/x-www-form-urlencoded")


def text_of(page: Any) -> str:
    return page.content.decode()


def card_ids() -> list[str]:
    return list(LocalObject.objects.of_kind("payment_method").order_by("pk").values_list("pk", flat=True))


def test_the_portal_shows_the_plan_the_cards_and_the_invoices(
    product: ServiceClient, customer: Person, path: str
) -> None:
    page = product.get(path)

    assert page.status_code == 200
    text = text_of(page)
    assert customer.user.email in text
    assert "19 USD a month" in text
    assert "19.00 USD" in text
    assert "<script" not in text


def test_a_plan_is_changed_after_its_price_was_seen(product: ServiceClient, path: str) -> None:
    preview = press(product, path, "preview", price=GROWTH)
    assert "Next invoice" in text_of(preview)
    assert Subscription.objects.get().plan_id == "starter"

    assert press(product, path, "change", price=GROWTH).status_code == 302

    assert "79 USD a month" in text_of(product.get(path))
    local_provider.deliver_events()
    assert Subscription.objects.get().plan_id == "growth"
    assert WebhookEvent.objects.latest("pk").source == "delivery"


def test_only_what_is_sold_in_the_subscriptions_currency_is_offered(product: ServiceClient, path: str) -> None:
    change_price("growth", PriceTerms("eur", "month", 6_900), by="system")
    change_price("growth", PriceTerms("usd", "year", 79_000), by="system")

    text = text_of(product.get(path))

    assert "790 USD a year" in text
    assert "EUR" not in text


def test_interval_and_seats_are_changed_at_the_price_that_was_shown(product: ServiceClient, path: str) -> None:
    change_price("scale", PriceTerms("usd", "year", 9_000, is_per_unit=True, included_quantity=2), by="system")
    chosen = {"price": "price_local_scale_usd_year_1", "quantity": "5"}
    shown = text_of(press(product, path, "preview", **chosen))
    assert "90 USD a year for each of 5 seats" in shown
    due = re.search(r'class="total">.*?<span class="number">([\d.]+) USD', shown)

    assert press(product, path, "change", **chosen).status_code == 302

    local_provider.deliver_events()
    row = Subscription.objects.get()
    assert (row.plan_id, row.quantity, row.price_id) == ("scale", 5, "price_local_scale_usd_year_1")
    assert due
    assert Invoice.objects.order_by("-pk").first().amount_due_cents == round(float(due[1]) * 100)
    assert "90 USD a year for each of 5 seats" in text_of(product.get(path))


def test_a_code_is_entered_and_shown(product: ServiceClient, path: str) -> None:
    create_promotion_code("SPRING", by="system", duration="forever", percent_off=Decimal(20))

    refused = press(product, path, "code", code="NONE")
    assert (refused.status_code, "This code is not known" in text_of(refused)) == (422, True)
    assert press(product, path, "code", code="spring").status_code == 302

    assert "Code SPRING" in text_of(product.get(path))
    local_provider.deliver_events()
    assert Subscription.objects.get().monthly_cents == 1_520


def test_credit_is_shown(product: ServiceClient, path: str) -> None:
    customer_id = LocalObject.objects.of_kind("customer").get().pk
    providers.current_gateway().credit_customer(
        customer_id, amount_cents=1_250, currency="usd", reason="An outage.", idempotency_key="credit"
    )

    assert "Your credit: 12.50 USD." in text_of(product.get(path))


def test_a_cancellation_is_taken_back(product: ServiceClient, path: str) -> None:
    press(product, path, "cancel", reason="dear")
    local_provider.deliver_events()
    assert Subscription.objects.get().cancel_at_period_end is True
    assert "Keep the subscription" in text_of(product.get(path))

    press(product, path, "resume")
    local_provider.deliver_events()

    assert Subscription.objects.get().cancel_at_period_end is False


def test_cards_are_added_chosen_and_removed(product: ServiceClient, path: str) -> None:
    press(product, path, "add_card", card="4242")
    press(product, path, "add_card", card="0341")
    first, second = card_ids()

    press(product, path, "use_card", card_id=first)
    press(product, path, "remove_card", card_id=second)
    assert press(product, path, "use_card", card_id=second).status_code == 409
    local_provider.deliver_events()

    assert Customer.objects.get().default_payment_method == first
    assert [row.last4 for row in PaymentMethod.objects.usable()] == ["4242"]


@pytest.mark.parametrize(
    ("act", "fields"),
    [
        ("add_card", {"card": "0002"}),
        ("add_card", {"card": "42"}),
        ("change", {"price": "none"}),
        ("preview", {"price": ""}),
        ("change", {"price": "price_local_growth_eur_month_1"}),
        ("change", {"price": "price_local_scale_usd_month_1", "quantity": "0"}),
        ("preview", {"price": "price_local_scale_usd_month_1", "quantity": "1e3"}),
        ("use_card", {"card_id": "pm_none"}),
        ("remove_card", {"card_id": "pm_none"}),
        ("steal", {}),
    ],
)
def test_what_is_refused_is_said_and_changes_nothing(
    product: ServiceClient, path: str, act: str, fields: dict[str, str]
) -> None:
    change_price("growth", PriceTerms("eur", "month", 6_900), by="system")
    change_price("scale", PriceTerms("usd", "month", 900, is_per_unit=True), by="system")
    page = press(product, path, act, **fields)

    assert page.status_code == 409
    assert 'role="alert"' in text_of(page)
    assert not LocalObject.objects.undelivered().exists()


@pytest.mark.parametrize("act", ["remove_card", "use_card"])
def test_nobody_touches_the_card_of_somebody_else(product: ServiceClient, other: Person, path: str, act: str) -> None:
    product.post(
        "/api/billing/payment-method",
        {"type": "card", "provider": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2035},
        token=other.token,
    )

    page = press(product, path, act, card_id=card_ids()[0])

    assert page.status_code == 409
    assert PaymentMethod.objects.usable().count() == 1


def test_without_a_subscription_there_are_only_cards(product: ServiceClient, customer: Person) -> None:
    url = product.post("/api/billing/portal", token=customer.token).json()["url"]
    path = url.removeprefix("http://localhost:8000")

    assert "There is no subscription." in text_of(product.get(path))
    assert press(product, path, "cancel").status_code == 409


@pytest.mark.parametrize(("minutes", "status"), [(59, 200), (61, 404)])
def test_a_visit_is_over_after_an_hour(product: ServiceClient, path: str, minutes: int, status: int) -> None:
    with time_machine.travel(timezone.now() + timedelta(minutes=minutes)):
        assert product.get(path).status_code == status


def test_an_unknown_portal_session_has_no_page(product: ServiceClient, path: str) -> None:
    assert product.get("/billing/portal/bps_local_none").status_code == 404


def test_a_press_from_another_site_is_refused(product: ServiceClient, path: str) -> None:
    answer = product.generic("POST", path, "act=cancel", content_type="application/x-www-form-urlencoded")

    assert answer.status_code == 403
    local_provider.deliver_events()
    assert Subscription.objects.get().cancel_at_period_end is False


def test_the_page_to_come_back_to_shows_what_the_provider_says(
    product: ServiceClient, customer: Person, path: str
) -> None:
    press(product, path, "cancel")
    assert ServiceClient("product").get("/billing").headers["Location"] == "/login?next=%2Fbilling"
    product.post("/api/auth/login", {"email": customer.user.email, "password": customer.password})
    assert "It ends on" not in text_of(product.get("/billing"))  # as stored: no event has come yet

    page = text_of(product.get("/billing?from=portal"))

    assert "It ends on" in page
