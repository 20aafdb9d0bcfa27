"""The local provider's portal, clicked through."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from saas.billing.models import Customer, LocalObject, PaymentMethod, Subscription
from saas.testing import local_provider
from saas.testing.clients import ServiceClient
from saas.testing.factories.user_factories import Person
from saas.webhook_events.models import WebhookEvent


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
    preview = press(product, path, "preview", plan="growth")
    assert "Next invoice" in text_of(preview)
    assert Subscription.objects.get().plan_id == "starter"

    assert press(product, path, "change", plan="growth").status_code == 302

    assert "79 USD a month" in text_of(product.get(path))
    local_provider.deliver_events()
    assert Subscription.objects.get().plan_id == "growth"
    assert WebhookEvent.objects.latest("pk").source == "delivery"


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
    local_provider.deliver_events()

    assert Customer.objects.get().default_payment_method == first
    assert [row.last4 for row in PaymentMethod.objects.usable()] == ["4242"]


@pytest.mark.parametrize(
    ("act", "fields"),
    [
        ("add_card", {"card": "0002"}),
        ("add_card", {"card": "42"}),
        ("change", {"plan": "none"}),
        ("preview", {"plan": ""}),
        ("use_card", {"card_id": "pm_none"}),
        ("remove_card", {"card_id": "pm_none"}),
        ("steal", {}),
    ],
)
def test_what_is_refused_is_said_and_changes_nothing(
    product: ServiceClient, path: str, act: str, fields: dict[str, str]
) -> None:
    page = press(product, path, act, **fields)

    assert page.status_code == 409
    assert 'role="alert"' in text_of(page)
    assert not LocalObject.objects.undelivered().exists()


def test_nobody_touches_the_card_of_somebody_else(product: ServiceClient, other: Person, path: str) -> None:
    product.post(
        "/api/billing/payment-method",
        {"type": "card", "provider": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2035},
        token=other.token,
    )

    page = press(product, path, "remove_card", card_id=card_ids()[0])

    assert page.status_code == 409
    assert PaymentMethod.objects.usable().count() == 1


def test_without_a_subscription_there_are_only_cards(product: ServiceClient, customer: Person) -> None:
    url = product.post("/api/billing/portal", token=customer.token).json()["url"]
    path = url.removeprefix("http://localhost:8000")

    assert "There is no subscription." in text_of(product.get(path))
    assert press(product, path, "cancel").status_code == 409


def test_a_visit_is_over_after_an_hour(product: ServiceClient, path: str) -> None:
    with time_machine.travel(timezone.now() + timedelta(minutes=61)):
        assert product.get(path).status_code == 404


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
    assert "Log in to see your subscription." in text_of(ServiceClient("product").get("/billing"))
    product.post("/api/auth/login", {"email": customer.user.email, "password": customer.password})

    page = text_of(product.get("/billing"))

    assert "It ends on" in page
