"""Billing through Stripe's SDK, against a Stripe of our own on the loopback interface."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import stripe
from django.db import connection

from saas.billing import providers
from saas.billing.models import Checkout, Customer, Price, Subscription
from saas.billing.providers import ProviderUnavailable
from saas.billing.providers.interface import API_VERSION
from saas.billing.providers.stripe.gateway import StripeGateway
from saas.billing.tests import stripe_params
from saas.billing.tests.stripe_stand_in import StandIn, bill_through_stripe, stand_in
from saas.testing.clients import ServiceClient
from saas.testing.factories import event_factories
from saas.testing.factories.user_factories import Person
from saas.webhook_events.models import WebhookEvent

KEY = "sk_test_stand_in"
SESSION = {"id": "cs_1", "object": "checkout.session", "livemode": False, "customer": "cus_1", "status": "open"}
SUBSCRIPTION = {
    "id": "sub_1",
    "object": "subscription",
    "livemode": False,
    "customer": "cus_1",
    "status": "active",
    "currency": "usd",
    "created": 1_790_000_000,
    "cancel_at_period_end": False,
    "items": {
        "object": "list",
        "data": [
            {
                "id": "si_1",
                "object": "subscription_item",
                "quantity": 1,
                "current_period_end": 1_800_000_000,
                "price": {
                    "id": "price_growth",
                    "object": "price",
                    "unit_amount": 7900,
                    "currency": "usd",
                    "recurring": {"interval": "month", "interval_count": 1},
                },
            }
        ],
    },
}
BUSY = (500, {"error": {"type": "api_error", "message": "try again"}})
BAD = (400, {"error": {"type": "invalid_request_error", "code": "parameter_invalid", "message": "no"}})


@pytest.fixture
def provider(settings: Any) -> Iterator[StandIn]:
    answers = {
        "POST /v1/customers": {"id": "cus_1", "object": "customer", "livemode": False},
        "POST /v1/checkout/sessions": {**SESSION, "url": "https://checkout.example.com/cs_1"},
        "GET /v1/checkout/sessions/cs_1": SESSION,
    }
    with stand_in(answers) as here:
        bill_through_stripe(settings, here.url, key=KEY)
        yield here
    told = [stripe_params.faults(f"{asked.method} {asked.path}", asked.fields) for asked in here.asked]
    assert [fault for faults in told for fault in faults] == []


@pytest.fixture
def prices(db: None) -> None:
    for plan in ("starter", "growth"):
        Price.objects.create(provider="stripe", external_id=f"price_{plan}", plan_id=plan, is_current=True)


def paid(provider: StandIn, checkout_id: str) -> None:
    provider.answers["GET /v1/checkout/sessions/cs_1"] = {
        **SESSION,
        "client_reference_id": checkout_id,
        "status": "complete",
        "payment_status": "paid",
        "subscription": "sub_1",
    }
    provider.answers["GET /v1/subscriptions/sub_1"] = SUBSCRIPTION


def start(product: ServiceClient, person: Person, plan: str = "growth") -> Any:
    return product.post("/api/subscriptions/checkout", {"plan_id": plan}, token=person.token)


@pytest.mark.usefixtures("prices")
def test_a_checkout_waits_on_stripes_page(product: ServiceClient, customer: Person, provider: StandIn) -> None:
    answer = start(product, customer)

    assert answer.status_code == 201
    checkout = answer.json()["checkout"]
    assert (checkout["status"], checkout["checkout_url"]) == ("pending", "https://checkout.example.com/cs_1")
    assert not Subscription.objects.exists()
    made, opened = provider.asked
    assert (made.path, made.fields["email"]) == ("/v1/customers", customer.user.email)
    assert made.headers["Idempotency-Key"] == f"customer:{Customer.objects.get().pk}"
    assert made.headers["Stripe-Version"] == API_VERSION
    assert opened.headers["Idempotency-Key"] == f"checkout:{checkout['id']}"
    wanted = {
        "mode": "subscription",
        "customer": "cus_1",
        "client_reference_id": checkout["id"],
        "line_items[0][price]": "price_growth",
        "line_items[0][quantity]": "1",
    }
    assert {name: opened.fields[name] for name in wanted} == wanted
    assert opened.fields["success_url"].startswith("http://localhost:8000/")
    assert opened.fields["cancel_url"] == f"http://localhost:8000/billing/cancel?checkout_id={checkout['id']}"


@pytest.mark.usefixtures("prices")
def test_the_return_page_never_waits_for_a_webhook(product: ServiceClient, customer: Person, provider: StandIn) -> None:
    checkout = start(product, customer).json()["checkout"]
    paid(provider, checkout["id"])

    answer = product.get(f"/api/subscriptions/checkout/{checkout['id']}", token=customer.token)

    assert answer.json()["checkout"]["status"] == "active"
    current = product.get("/api/subscriptions/current", token=customer.token).json()["subscription"]
    assert (current["status"], current["plan"]["id"]) == ("active", "growth")
    sources = WebhookEvent.objects.order_by("id").values_list("type", "source", "status")
    assert list(sources) == [
        ("customer.updated", "fetch", "processed"),
        ("checkout.session.updated", "fetch", "processed"),
        ("customer.subscription.updated", "fetch", "processed"),
    ]


@pytest.mark.usefixtures("prices")
def test_a_webhook_that_comes_after_the_fetch_changes_nothing(
    product: ServiceClient, customer: Person, provider: StandIn
) -> None:
    checkout = start(product, customer).json()["checkout"]
    paid(provider, checkout["id"])
    product.get(f"/api/subscriptions/checkout/{checkout['id']}", token=customer.token)
    event = event_factories.event(
        "evt_late", "customer.subscription.created", object={**SUBSCRIPTION, "status": "incomplete"}
    )
    body = event_factories.json_bytes(event)

    ServiceClient("webhooks").post("/api/webhooks/stripe", raw=body, headers=event_factories.signature_headers(body))
    event_factories.drain()

    assert Subscription.objects.get().status == "active"


@pytest.mark.usefixtures("prices")
def test_asking_twice_brings_the_same_open_checkout(
    product: ServiceClient, customer: Person, provider: StandIn
) -> None:
    first, second = start(product, customer).json(), start(product, customer).json()

    assert first == second
    assert [f"{asked.method} {asked.path}" for asked in provider.asked] == [
        "POST /v1/customers",
        "POST /v1/checkout/sessions",
        "GET /v1/checkout/sessions/cs_1",
    ]


@pytest.mark.usefixtures("prices")
def test_another_plan_expires_the_open_checkout_at_stripe(
    product: ServiceClient, customer: Person, provider: StandIn
) -> None:
    first = start(product, customer).json()["checkout"]
    provider.answers["POST /v1/checkout/sessions/cs_1/expire"] = {
        **SESSION,
        "client_reference_id": first["id"],
        "status": "expired",
    }

    second = start(product, customer, "starter").json()["checkout"]

    assert second["id"] != first["id"]
    assert Checkout.objects.get(pk=first["id"]).status == "expired"
    assert Checkout.objects.get(pk=second["id"]).status == "pending"


@pytest.mark.usefixtures("prices")
def test_an_open_checkout_that_was_paid_meanwhile_counts(
    product: ServiceClient, customer: Person, provider: StandIn
) -> None:
    first = start(product, customer).json()["checkout"]
    paid(provider, first["id"])
    provider.answers["POST /v1/checkout/sessions/cs_1/expire"] = [BAD]

    answer = start(product, customer, "starter")

    assert (answer.status_code, answer.json()["code"]) == (409, "already_subscribed")
    assert Checkout.objects.get().status == "active"


@pytest.mark.usefixtures("prices")
def test_a_hiccup_is_tried_again_with_the_same_key(product: ServiceClient, customer: Person, provider: StandIn) -> None:
    provider.answers["POST /v1/checkout/sessions"] = [BUSY, (200, {**SESSION, "url": "https://x.example"})]

    answer = start(product, customer)

    assert answer.status_code == 201
    keys = [asked.headers["Idempotency-Key"] for asked in provider.asked if asked.path == "/v1/checkout/sessions"]
    assert len(keys) == 2
    assert len(set(keys)) == 1


@pytest.mark.usefixtures("prices")
def test_a_stripe_that_is_away_is_a_503_and_the_next_click_goes_on(
    product: ServiceClient, customer: Person, provider: StandIn
) -> None:
    good = provider.answers.pop("POST /v1/checkout/sessions")
    provider.answers["POST /v1/checkout/sessions"] = [BUSY]

    refused = start(product, customer)
    provider.answers["POST /v1/checkout/sessions"] = good
    again = start(product, customer)

    assert (refused.status_code, refused.json()["code"]) == (503, "provider_unavailable")
    assert refused.headers["Retry-After"] == "5"
    assert again.status_code == 201
    assert Checkout.objects.count() == 1


@pytest.mark.usefixtures("prices")
def test_a_refused_checkout_is_over_and_the_next_click_is_a_new_one(
    product: ServiceClient, customer: Person, provider: StandIn
) -> None:
    good = provider.answers.pop("POST /v1/checkout/sessions")
    provider.answers["POST /v1/checkout/sessions"] = [BAD]

    refused = start(product, customer)
    provider.answers["POST /v1/checkout/sessions"] = good
    start(product, customer)

    assert (refused.status_code, refused.json()["code"]) == (409, "provider_refused")
    assert sorted(Checkout.objects.values_list("status", flat=True)) == ["failed", "pending"]


@pytest.mark.django_db
def test_nobody_at_the_other_end_is_a_503() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    away = StripeGateway(KEY, address)

    with pytest.raises(ProviderUnavailable):
        away.fetch_subscription("sub_1")


@pytest.mark.usefixtures("prices")
def test_a_return_page_is_shown_though_stripe_is_away(
    product: ServiceClient, customer: Person, provider: StandIn
) -> None:
    checkout = start(product, customer).json()["checkout"]
    del provider.answers["GET /v1/checkout/sessions/cs_1"]

    answer = product.get(f"/api/subscriptions/checkout/{checkout['id']}", token=customer.token)

    assert (answer.status_code, answer.json()["checkout"]["status"]) == (200, "pending")


def test_a_plan_without_a_price_at_stripe_cannot_be_bought(
    product: ServiceClient, customer: Person, provider: StandIn
) -> None:
    answer = start(product, customer)

    assert (answer.status_code, answer.json()["code"]) == (503, "plan_not_for_sale")
    assert provider.asked == []


@pytest.mark.usefixtures("prices")
def test_canceling_tells_stripe_and_takes_its_word(product: ServiceClient, customer: Person, provider: StandIn) -> None:
    checkout = start(product, customer).json()["checkout"]
    paid(provider, checkout["id"])
    product.get(f"/api/subscriptions/checkout/{checkout['id']}", token=customer.token)
    provider.answers["POST /v1/subscriptions/sub_1"] = {**SUBSCRIPTION, "cancel_at_period_end": True}

    answer = product.post("/api/subscriptions/cancel", {"reason": "too dear"}, token=customer.token)

    assert answer.json()["subscription"]["cancel_at_period_end"] is True
    assert provider.asked[-1].fields == {"cancel_at_period_end": "true", "cancellation_details[comment]": "too dear"}


@pytest.mark.usefixtures("prices")
def test_canceling_at_once_tells_stripe_why(product: ServiceClient, customer: Person, provider: StandIn) -> None:
    checkout = start(product, customer).json()["checkout"]
    paid(provider, checkout["id"])
    product.get(f"/api/subscriptions/checkout/{checkout['id']}", token=customer.token)
    provider.answers["DELETE /v1/subscriptions/sub_1"] = {
        **SUBSCRIPTION,
        "status": "canceled",
        "ended_at": 1_790_000_000,
    }

    body = {"at_period_end": False, "reason": "too dear"}
    answer = product.post("/api/subscriptions/cancel", body, token=customer.token)

    assert answer.json()["subscription"]["status"] == "canceled"
    assert provider.asked[-1].fields == {"cancellation_details[comment]": "too dear"}


@pytest.mark.parametrize("ask", ["preview_next_invoice", "invoice_url"])
def test_what_a_page_can_do_without_is_asked_for_once(provider: StandIn, ask: str) -> None:
    provider.answers |= {"POST /v1/invoices/create_preview": [BUSY], "GET /v1/invoices/it_1": [BUSY]}

    with pytest.raises(ProviderUnavailable):
        getattr(StripeGateway(), ask)("it_1")

    assert len(provider.asked) == 1


@pytest.mark.usefixtures("prices")
def test_a_trial_is_asked_for_on_stripes_page(
    product: ServiceClient, customer: Person, provider: StandIn, settings: Any
) -> None:
    settings.BILLING_TRIAL_DAYS = 14

    start(product, customer)

    assert provider.asked[-1].fields["subscription_data[trial_period_days]"] == "14"


@pytest.mark.usefixtures("prices")
def test_what_was_paid_in_another_tab_counts_before_its_webhook_comes(
    product: ServiceClient, customer: Person, provider: StandIn
) -> None:
    first = start(product, customer).json()["checkout"]
    paid(provider, first["id"])

    answer = start(product, customer)

    assert (answer.status_code, answer.json()["code"]) == (409, "already_subscribed")


@pytest.mark.usefixtures("prices")
def test_the_return_page_of_a_browser_asks_stripe(product: ServiceClient, customer: Person, provider: StandIn) -> None:
    checkout = start(product, customer).json()["checkout"]
    paid(provider, checkout["id"])

    page = product.get(f"/billing/success?checkout_id={checkout['id']}")

    assert "Your subscription to Growth is active." in page.content.decode()


def test_a_key_works_once_for_one_request_also_after_its_completion(
    product: ServiceClient, customer: Person, provider: StandIn, prices: None
) -> None:
    def click(plan: str) -> Any:
        headers = {"Idempotency-Key": "click-1"}
        return product.post("/api/subscriptions/checkout", {"plan_id": plan}, token=customer.token, headers=headers)

    first = click("growth").json()["checkout"]
    paid(provider, first["id"])
    product.get(f"/api/subscriptions/checkout/{first['id']}", token=customer.token)

    again, otherwise = click("growth"), click("starter")

    assert (again.status_code, again.json()["checkout"]) == (201, {**first, "status": "active"})
    assert (otherwise.status_code, otherwise.json()["code"]) == (409, "idempotency_key_reused")


@pytest.mark.usefixtures("prices")
def test_changing_the_plan_moves_the_one_item(product: ServiceClient, customer: Person, provider: StandIn) -> None:
    checkout = start(product, customer).json()["checkout"]
    paid(provider, checkout["id"])
    product.get(f"/api/subscriptions/checkout/{checkout['id']}", token=customer.token)
    provider.answers["POST /v1/invoices/create_preview"] = {
        "object": "invoice",
        "amount_due": 1234,
        "currency": "usd",
        "next_payment_attempt": 1_800_000_000,
    }
    provider.answers["POST /v1/subscriptions/sub_1"] = SUBSCRIPTION

    preview = product.post("/api/subscriptions/change/preview", {"plan_id": "starter"}, token=customer.token)
    product.post("/api/subscriptions/change", {"plan_id": "starter"}, token=customer.token)

    assert preview.json()["preview"]["next_invoice_cents"] == 1234
    sent = provider.asked[-1].fields
    assert (sent["items[0][id]"], sent["items[0][price]"]) == ("si_1", "price_starter")


def test_the_portal_is_for_the_callers_own_customer(
    product: ServiceClient, customer: Person, provider: StandIn
) -> None:
    provider.answers["POST /v1/billing_portal/sessions"] = {
        "id": "bps_1",
        "object": "billing_portal.session",
        "url": "https://billing.example.com/p",
    }

    answer = product.post("/api/billing/portal", token=customer.token)

    assert (answer.status_code, answer.json()) == (201, {"url": "https://billing.example.com/p"})
    assert provider.asked[-1].fields["customer"] == "cus_1"


def test_a_card_is_added_on_stripes_own_page_only(product: ServiceClient, customer: Person, provider: StandIn) -> None:
    body = {"type": "card", "provider": "visa", "last4": "4242", "exp_month": 1, "exp_year": 2035}

    answer = product.post("/api/billing/payment-method", body, token=customer.token)

    assert (answer.status_code, answer.json()["code"]) == (409, "use_the_providers_page")


@pytest.mark.usefixtures("prices")
def test_no_call_is_made_inside_a_transaction(
    product: ServiceClient, customer: Person, provider: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test itself runs in one: every call must stand at that same depth."""
    depths = []
    real = stripe.RequestsClient.request

    def noting(self: Any, *args: Any, **options: Any) -> Any:
        depths.append(len(connection.savepoint_ids))
        return real(self, *args, **options)

    monkeypatch.setattr(stripe.RequestsClient, "request", noting)
    start(product, customer)

    assert depths == [0, 0]


def test_the_key_is_never_logged(customer: Person, provider: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    provider.answers["GET /v1/subscriptions/sub_1"] = [BAD]

    with caplog.at_level("DEBUG"), pytest.raises(providers.ProviderRefused):
        providers.current_gateway().fetch_subscription("sub_1")

    assert KEY not in caplog.text
    assert "parameter_invalid" in caplog.text
