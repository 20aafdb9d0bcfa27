"""What Stripe is asked for when a customer buys seats with a code, and when staff give one."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from saas.billing.catalogue.promotions import create_promotion_code
from saas.billing.checkouts import start_checkout
from saas.billing.models import Plan, Price, PromotionCode
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
