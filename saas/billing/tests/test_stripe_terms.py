"""What Stripe is asked for when a customer buys seats with a code, and when staff give one."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from saas.billing.catalogue.promotions import create_promotion_code
from saas.billing.checkouts import start_checkout
from saas.billing.invoices.details import find_link
from saas.billing.models import Customer, Invoice, Plan, Price, PromotionCode, Subscription
from saas.billing.providers import PaymentDeclined
from saas.billing.providers.stripe.gateway import StripeGateway
from saas.billing.tests import stripe_params
from saas.billing.tests.fake_stripe import refusal
from saas.billing.tests.stripe_stand_in import StandIn, bill_through_stripe, stand_in
from saas.testing.factories import stripe_object_factories as whole
from saas.testing.factories.user_factories import Person


@pytest.fixture
def provider(db: None, settings: Any) -> Iterator[StandIn]:
    answers = {
        "POST /v1/customers": {"id": "cus_1", "object": "customer", "livemode": False},
        "POST /v1/coupons": {"id": "co_1", "object": "coupon"},
        "GET /v1/promotion_codes": whole.list_page([], "/v1/promotion_codes"),
        "POST /v1/promotion_codes": {"id": "promo_s", "object": "promotion_code"},
        "POST /v1/checkout/sessions": {
            "id": "cs_1",
            "object": "checkout.session",
            "url": "https://checkout.example.com/1",
        },
        "GET /v1/subscriptions/sub_1": {"id": "sub_1", "object": "subscription", "discounts": ["di_1"]},
        "POST /v1/subscriptions/sub_1": {
            "id": "sub_1",
            "object": "subscription",
            "customer": "cus_1",
            "status": "active",
        },
    }
    terms = {"currency": "eur", "interval": "year", "unit_amount_cents": 900, "is_per_unit": True, "is_current": True}
    Price.objects.create(provider="stripe", external_id="price_seat", plan_id="growth", **terms)
    Plan.objects.filter(pk="growth").update(trial_days=14, trial_needs_card=False)
    with stand_in(answers) as here:
        bill_through_stripe(settings, here.url)
        yield here
    told = [stripe_params.faults(f"{asked.method} {asked.path}", asked.fields) for asked in here.asked]
    assert [fault for faults in told for fault in faults] == []


def test_seats_a_code_a_trial_without_a_card_and_tax_are_asked_for(
    provider: StandIn, customer: Person, settings
) -> None:
    settings.BILLING_AUTOMATIC_TAX = True
    create_promotion_code("SPRING", by="system", percent_off=Decimal("12.5"), duration="repeating", duration_months=3)

    start_checkout(customer.user, plan_id="growth", quantity=7, promotion_code="spring")

    asked = {call.path: call.fields for call in provider.asked}
    assert {name: asked["/v1/coupons"][name] for name in ("percent_off", "duration", "duration_in_months")} == {
        "percent_off": "12.5",
        "duration": "repeating",
        "duration_in_months": "3",
    }
    assert asked["/v1/coupons"]["id"] == f"saas_{PromotionCode.objects.get().pk}"
    assert asked["/v1/promotion_codes"]["code"] == "SPRING"
    wanted = {
        "line_items[0][price]": "price_seat",
        "line_items[0][quantity]": "7",
        "discounts[0][promotion_code]": "promo_s",
        "payment_method_collection": "if_required",
        "subscription_data[trial_settings][end_behavior][missing_payment_method]": "pause",
        "automatic_tax[enabled]": "true",
        "tax_id_collection[enabled]": "true",
        "billing_address_collection": "required",
    }
    session = asked["/v1/checkout/sessions"]
    assert {name: session[name] for name in wanted} == wanted
    assert PromotionCode.objects.get().external_id == "promo_s"


def test_a_code_that_was_made_without_an_answer_is_found_by_our_id(provider: StandIn, customer: Person) -> None:
    row = create_promotion_code("SPRING", by="system", percent_off=Decimal(10), duration="once")
    others = {"id": "promo_x", "object": "promotion_code", "metadata": {}, "promotion": {"coupon": "co_x"}}
    ours = {**others, "id": "promo_s", "metadata": {"promotion_code_id": row.pk}, "promotion": {"coupon": "co_1"}}
    provider.answers["GET /v1/promotion_codes"] = whole.list_page([others, ours], "/v1/promotion_codes")
    provider.answers["POST /v1/promotion_codes"] = [refusal("An active promotion code with `code: SPRING` exists.")]

    start_checkout(customer.user, plan_id="growth", promotion_code="spring")

    row.refresh_from_db()
    assert (row.external_id, row.external_coupon_id) == ("promo_s", "co_1")
    assert not [asked for asked in provider.asked if (asked.method, asked.path) == ("POST", "/v1/coupons")]


def test_a_coupon_whose_code_was_refused_is_used_again(provider: StandIn) -> None:
    row = create_promotion_code("SPRING", by="system", percent_off=Decimal(10), duration="once")
    made = {"id": f"saas_{row.pk}", "object": "coupon"}
    provider.answers[f"GET /v1/coupons/saas_{row.pk}"] = made

    assert StripeGateway().ensure_promotion_code(row) == "promo_s"

    assert provider.asked[-1].fields["promotion[coupon]"] == made["id"]
    assert not [asked for asked in provider.asked if (asked.method, asked.path) == ("POST", "/v1/coupons")]


def test_a_discount_is_given_beside_those_that_are_there(provider: StandIn) -> None:
    StripeGateway().apply_promotion_code("sub_1", "promo_s")

    fields = provider.asked[-1].fields
    assert (fields["discounts[0][discount]"], fields["discounts[1][promotion_code]"]) == ("di_1", "promo_s")


@pytest.mark.parametrize(("prorate", "behavior"), [(True, "create_prorations"), (False, "none")])
def test_fewer_seats_are_not_credited(provider: StandIn, prorate: bool, behavior: str) -> None:
    StripeGateway().change_subscription(
        subscription_id="sub_1", item_id="si_1", price_id="price_seat", quantity=3, prorate=prorate
    )

    assert provider.asked[-1].fields["proration_behavior"] == behavior


def change_interval() -> None:
    StripeGateway().change_subscription(
        subscription_id="sub_1", item_id="si_1", price_id="price_seat", quantity=3, needs_payment=True
    )


def test_a_change_that_waits_for_its_payment_is_told_and_not_made(provider: StandIn) -> None:
    shown = whole.subscription(collection_method="charge_automatically")
    provider.answers["GET /v1/subscriptions/sub_1"] = shown
    provider.answers["POST /v1/subscriptions/sub_1"] = {**shown, "pending_update": {"expires_at": whole.AT}}

    with pytest.raises(PaymentDeclined, match="once you pay its open invoice"):
        change_interval()

    assert provider.asked[-1].fields["payment_behavior"] == "pending_if_incomplete"
    assert Subscription.objects.count() == 0  # what Stripe answered is an event, as always


@pytest.mark.parametrize(
    "shown",
    [
        {"status": "past_due"},
        {"collection_method": "send_invoice"},
        {"default_payment_method": {"id": "pm_1", "type": "sepa_debit"}},
        {"customer": {"id": "cus_1", "invoice_settings": {"default_payment_method": {"type": "us_bank_account"}}}},
    ],
)
def test_no_change_waits_where_stripe_does_not_charge_at_once(provider: StandIn, shown: dict[str, Any]) -> None:
    there = whole.subscription(**{"collection_method": "charge_automatically", **shown})
    provider.answers["GET /v1/subscriptions/sub_1"] = there

    change_interval()

    assert "payment_behavior" not in provider.asked[-1].fields


def test_a_change_that_waits_for_no_payment_is_made_beside_one_that_does(provider: StandIn) -> None:
    shown = {**whole.subscription(), "pending_update": {"expires_at": whole.AT}}
    provider.answers["POST /v1/subscriptions/sub_1"] = shown

    StripeGateway().change_subscription(subscription_id="sub_1", item_id="si_1", price_id="price_seat", quantity=2)

    assert provider.asked[-1].fields["items[0][quantity]"] == "2"


def test_what_costs_nothing_asks_for_no_card_and_has_no_trial(provider: StandIn, customer: Person) -> None:
    Plan.objects.filter(pk="growth").update(trial_needs_card=True)
    Price.objects.filter(external_id="price_seat").update(unit_amount_cents=0)

    start_checkout(customer.user, plan_id="growth")

    asked = provider.asked[-1].fields
    assert asked["payment_method_collection"] == "if_required"
    assert not [name for name in asked if "trial" in name]


def test_who_had_a_trial_is_asked_for_a_card(provider: StandIn, customer: Person) -> None:
    earlier = Customer.objects.create(user=customer.user, provider="local", external_id="cus_0")
    Subscription.objects.create(customer=earlier, external_id="sub_0", status="canceled")

    start_checkout(customer.user, plan_id="growth")

    asked = provider.asked[-1].fields
    assert not [name for name in asked if "trial" in name or name == "payment_method_collection"]


def test_a_code_that_another_has_at_stripe_gets_an_addition_there(provider: StandIn) -> None:
    row = create_promotion_code("SPRING", by="system", percent_off=Decimal(10), duration="once")
    others = {"id": "promo_x", "object": "promotion_code", "active": True, "metadata": {}}
    answers = iter([whole.list_page([others], "/v1/promotion_codes"), whole.list_page([], "/v1/promotion_codes")])
    provider.answers["GET /v1/promotion_codes"] = [(200, next(answers)), (200, next(answers))]

    assert StripeGateway().ensure_promotion_code(row) == "promo_s"

    listed = [asked.fields["code"] for asked in provider.asked if asked.path == "/v1/promotion_codes"]
    added = f"SPRING-{row.pk.rpartition('_')[2][-8:]}"
    assert listed == ["SPRING", added, added]
    key = provider.asked[-1].headers["Idempotency-Key"].rpartition(":")[0]  # without its quarter of an hour
    assert key == f"promotion_code:{row.pk}:{added}"  # Stripe would refuse another name under the key of the first


def test_the_page_of_an_invoice_is_asked_for_anew(provider: StandIn, customer: Person) -> None:
    mine = Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")
    row = Invoice.objects.create(customer=mine, external_id="in_1", status="paid", hosted_url="https://old.example")
    assert find_link(row) == "https://old.example"  # Stripe does not answer

    provider.answers["GET /v1/invoices/in_1"] = whole.invoice(hosted_invoice_url="https://new.example")

    assert find_link(row) == "https://new.example"
