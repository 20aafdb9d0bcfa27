"""Every call of the gateway, answered with complete Stripe objects."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from saas.billing.models import Plan
from saas.billing.providers import CheckoutSession, ProviderRefused
from saas.billing.providers.interface import EVENT_TYPES
from saas.billing.providers.stripe.gateway import StripeGateway
from saas.billing.tests import stripe_params
from saas.billing.tests.samples import FOLDER
from saas.billing.tests.stripe_stand_in import StandIn, stand_in
from saas.testing.factories import stripe_object_factories as whole
from saas.webhook_events.models import WebhookEvent, WebhookPayload

pytestmark = pytest.mark.django_db

CANCELED = whole.subscription(status="canceled", ended_at=whole.AT, canceled_at=whole.AT)
PAID_SESSION = whole.checkout_session(status="complete", payment_status="paid", subscription="sub_1", url=None)
ANSWERS = {
    "POST /v1/customers": whole.customer(),
    "GET /v1/customers/cus_1": whole.customer(),
    "POST /v1/checkout/sessions": whole.checkout_session(),
    "GET /v1/checkout/sessions/cs_1": PAID_SESSION,
    "POST /v1/checkout/sessions/cs_1/expire": whole.checkout_session(status="expired", url=None),
    "POST /v1/billing_portal/sessions": whole.portal_session(),
    "GET /v1/subscriptions/sub_1": whole.subscription(),
    "POST /v1/subscriptions/sub_1": whole.subscription(),
    "DELETE /v1/subscriptions/sub_1": CANCELED,
    "GET /v1/subscriptions": whole.list_page([whole.subscription()], "/v1/subscriptions"),
    "GET /v1/invoices": whole.list_page([whole.invoice()], "/v1/invoices"),
    "GET /v1/payment_methods": whole.list_page([whole.payment_method()], "/v1/payment_methods"),
    "POST /v1/invoices/create_preview": whole.invoice(1234, id="upcoming_in_1", status="draft"),
    "POST /v1/payment_methods/pm_1/detach": whole.payment_method(customer=None),
    "GET /v1/prices": whole.list_page([], "/v1/prices"),
    "POST /v1/prices": whole.price(),
    "POST /v1/products/saas_plan_growth": whole.product("saas_plan_growth"),
}


@pytest.fixture
def provider() -> Iterator[StandIn]:
    with stand_in(dict(ANSWERS)) as here:
        yield here
    told = [stripe_params.faults(f"{asked.method} {asked.path}", asked.fields) for asked in here.asked]
    assert [fault for faults in told for fault in faults] == []


@pytest.fixture
def gateway(provider: StandIn) -> StripeGateway:
    return StripeGateway("sk_test_whole", provider.url)


def learned() -> list[tuple[str, dict[str, Any]]]:
    """What entered the inbox: the events' types and their objects, as they are stored."""
    bodies = [json.loads(bytes(row.body)) for row in WebhookPayload.objects.order_by("pk")]
    return [(body["type"], body["data"]["object"]) for body in bodies]


CHANGE = {"subscription_id": "sub_1", "item_id": "si_1", "price_id": "price_scale", "quantity": 1}
LEARNING: list[tuple[Callable[[StripeGateway], object], list[tuple[str, Any]]]] = [
    (
        lambda it: it.create_customer(reference="cst_1", email="kim@example.net", name="Kim", idempotency_key="k"),
        [("customer.updated", whole.customer())],
    ),
    (
        lambda it: it.fetch_checkout("cs_1"),
        [("checkout.session.updated", PAID_SESSION), ("customer.subscription.updated", whole.subscription())],
    ),
    (
        lambda it: it.expire_checkout("cs_1"),
        [("checkout.session.updated", whole.checkout_session(status="expired", url=None))],
    ),
    (lambda it: it.fetch_subscription("sub_1"), [("customer.subscription.updated", whole.subscription())]),
    (lambda it: it.change_subscription(**CHANGE), [("customer.subscription.updated", whole.subscription())]),
    (
        lambda it: it.set_cancel_at_period_end("sub_1", value=True, reason="too dear"),
        [("customer.subscription.updated", whole.subscription())],
    ),
    (
        lambda it: it.extend_trial("sub_1", trial_end=datetime.fromtimestamp(whole.AT, UTC)),
        [("customer.subscription.updated", whole.subscription())],
    ),
    (lambda it: it.cancel_subscription("sub_1"), [("customer.subscription.updated", CANCELED)]),
    (
        lambda it: it.detach_payment_method("pm_1"),
        [("payment_method.detached", whole.payment_method(customer=None))],
    ),
]


@pytest.mark.parametrize(("call", "entered"), LEARNING)
def test_what_a_call_returns_enters_the_inbox_as_it_was_sent(
    gateway: StripeGateway, call: Callable[[StripeGateway], object], entered: list[tuple[str, Any]]
) -> None:
    call(gateway)

    assert learned() == entered


CREATE = {"reference": "chk_1", "customer_id": "cus_1", "price_id": "p", "trial_days": 0, "idempotency_key": "k"}


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (lambda it: it.create_checkout(**CREATE), CheckoutSession("cs_1", "https://checkout.stripe.com/c/pay/cs_1")),
        (
            lambda it: it.portal_url(customer_id="cus_1", return_url="https://x.example"),
            "https://billing.stripe.com/p/session/bps_1",
        ),
        (lambda it: it.preview_change(**CHANGE, prorated_at=datetime(2026, 1, 1, tzinfo=UTC)).due_cents, 1234),
        (lambda it: it.list_objects("cus_1", "customer"), [whole.customer()]),
        (lambda it: it.list_objects("cus_1", "subscription"), [whole.subscription()]),
        (lambda it: it.list_objects("cus_1", "invoice"), [whole.invoice()]),
        (lambda it: it.list_objects("cus_1", "payment_method"), [whole.payment_method()]),
        (lambda it: it.ensure_price(Plan(id="growth", name="Growth", price_cents=7900)), ("price_growth", True)),
    ],
)
def test_what_a_call_answers_is_read_from_whole_objects(
    gateway: StripeGateway, call: Callable[[StripeGateway], object], answer: object
) -> None:
    assert call(gateway) == answer
    assert not WebhookEvent.objects.exists()


@pytest.mark.parametrize("kind", sorted(EVENT_TYPES.keys() - {"subscription", "checkout.session"}))
def test_stripe_can_be_asked_for_every_kind_that_is_stored(
    gateway: StripeGateway, provider: StandIn, kind: str
) -> None:
    with pytest.raises(ProviderRefused):  # there is none with this id
        gateway.fetch_object(kind, "id_1")

    assert [asked.method for asked in provider.asked] == ["GET"]


def test_a_list_is_read_to_its_last_page(gateway: StripeGateway, provider: StandIn) -> None:
    pages = [
        whole.list_page([whole.subscription(id="sub_1")], "/v1/subscriptions", has_more=True),
        whole.list_page([whole.subscription(id="sub_2")], "/v1/subscriptions"),
    ]
    provider.answers["GET /v1/subscriptions"] = [(200, page) for page in pages]

    rows = gateway.list_objects("cus_1", "subscription")

    assert [row["id"] for row in rows] == ["sub_1", "sub_2"]
    assert provider.asked[-1].fields == {
        "customer": "cus_1",
        "status": "all",
        "limit": "100",
        "expand[0]": "data.discounts",
        "starting_after": "sub_1",
    }


RESOURCES = FOLDER / "fixtures3.json"


if RESOURCES.exists():  # an extra, beside the objects of our own above

    @pytest.mark.parametrize(
        "kind", ["subscription", "checkout.session", "payment_method", "customer", "deleted_customer"]
    )
    def test_stripes_own_examples_enter_the_inbox_as_they_are(
        gateway: StripeGateway, provider: StandIn, kind: str
    ) -> None:
        example = json.loads(Path(RESOURCES).read_text(encoding="utf-8"))["resources"][kind]
        calls: dict[str, tuple[str, Callable[[], object]]] = {
            "subscription": ("GET /v1/subscriptions/sub_x", lambda: gateway.fetch_subscription("sub_x")),
            "checkout.session": ("GET /v1/checkout/sessions/cs_x", lambda: gateway.fetch_checkout("cs_x")),
            "payment_method": ("POST /v1/payment_methods/pm_x/detach", lambda: gateway.detach_payment_method("pm_x")),
            "customer": ("POST /v1/customers", lambda: LEARNING[0][0](gateway)),
            "deleted_customer": ("POST /v1/customers", lambda: LEARNING[0][0](gateway)),
        }
        operation, call = calls[kind]
        provider.answers[operation] = example
        provider.answers["GET /v1/subscriptions/sub_1"] = whole.subscription()

        call()

        assert learned()[0][1] == example
