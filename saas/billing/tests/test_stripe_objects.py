"""The project's own Stripe objects are as whole as the installed SDK says that Stripe's are."""

import json
from typing import Any

import pytest
import stripe

from saas.testing.factories import stripe_object_factories as whole

OBJECTS: list[tuple[type[stripe.StripeObject], dict[str, Any]]] = [
    (stripe.Price, whole.price()),
    (stripe.Plan, whole.plan_from_price(whole.price())),
    (stripe.Product, whole.product()),
    (stripe.SubscriptionItem, whole.subscription_item(whole.price())),
    (stripe.Subscription, whole.subscription()),
    (stripe.Invoice, whole.invoice()),
    (stripe.InvoiceLineItem, whole.invoice()["lines"]["data"][0]),
    (stripe.Customer, whole.customer()),
    (stripe.PaymentMethod, whole.payment_method()),
    (stripe.Coupon, whole.coupon("half", percent_off=50.0, duration="forever")),
    (stripe.Discount, whole.discount("di_1", "half")),
    (stripe.InvoicePayment, whole.invoice_payment()),
    (stripe.SubscriptionSchedule, whole.subscription_schedule()),
    (stripe.Refund, whole.refund(100)),
    (stripe.CreditNote, whole.credit_note(100)),
    (stripe.Dispute, whole.dispute(100)),
    (stripe.radar.EarlyFraudWarning, whole.early_fraud_warning()),
    (stripe.CustomerBalanceTransaction, whole.balance_transaction(-100)),
    (stripe.checkout.Session, whole.checkout_session()),
    (stripe.billing_portal.Session, whole.portal_session()),
    (stripe.Event, whole.event("price.created", whole.price())),
]


def declared(kind: type[stripe.StripeObject]) -> dict[str, str]:
    return {name: str(hint) for name, hint in kind.__annotations__.items() if not name.startswith("_")}


@pytest.mark.parametrize(("kind", "thing"), OBJECTS)
def test_an_object_has_every_field_that_the_sdk_requires(kind: type, thing: dict[str, Any]) -> None:
    required = {name for name, hint in declared(kind).items() if "Optional[" not in hint and name != "OBJECT_NAME"}

    assert required - thing.keys() == set()


@pytest.mark.parametrize(("kind", "thing"), OBJECTS)
def test_an_object_has_no_field_that_the_sdk_does_not_know(kind: type, thing: dict[str, Any]) -> None:
    assert thing.keys() - declared(kind).keys() == set()


@pytest.mark.parametrize(("kind", "thing"), OBJECTS)
def test_an_object_is_json_as_it_comes(kind: type, thing: dict[str, Any]) -> None:
    assert json.loads(json.dumps(thing)) == thing


def test_decimals_are_strings_that_the_sdk_makes_numbers_of() -> None:
    price = whole.price(amount=7900)

    read = stripe.Price.construct_from(price, "sk_test")

    assert price["unit_amount_decimal"] == "7900"
    with pytest.raises(TypeError):
        json.dumps(read.to_dict())


def test_the_older_shape_has_the_period_and_the_link_at_the_top() -> None:
    older, bill = whole.subscription(version=whole.LEGACY), whole.invoice(version=whole.LEGACY)

    assert older["current_period_end"] == whole.AT + whole.MONTH
    assert "current_period_end" not in older["items"]["data"][0]
    assert bill["subscription"] == "sub_1"
    assert "parent" not in bill
