"""Objects in shapes that Stripe may send and its examples do not show: what cannot be read is said, never counted as nothing."""

from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from saas.billing.invoices.details import invoice_details
from saas.billing.models import Customer, Invoice, InvoiceAdjustment, Price, Subscription
from saas.billing.sync.discounts import read_discount
from saas.billing.sync.rebuild import rebuild_rows
from saas.billing.sync.recurring_revenue import decimal, monthly_amount
from saas.testing.factories import stripe_object_factories as whole
from saas.webhook_events.actions import append_event
from saas.webhook_events.models import WebhookEvent
from saas.webhook_events.processing import event_worker

pytestmark = pytest.mark.django_db

_numbers = count(1)


def tell(type: str, thing: dict[str, Any], *, at: int = whole.AT, version: str = whole.CURRENT) -> WebhookEvent:
    event = whole.event(type, thing, id=f"evt_odd_{next(_numbers)}", at=at, version=version)
    row = append_event(event, source=WebhookEvent.Source.DELIVERY)
    event_worker.process_event(row.pk)
    row.refresh_from_db()
    assert row.status == "processed", row.last_error
    return row


@pytest.fixture
def growth() -> Price:
    return Price.objects.update_or_create(
        external_id="price_growth", defaults={"plan_id": "growth", "provider": "stripe"}
    )[0]


def told(*items: dict[str, Any], version: str = whole.CURRENT, **fields: Any) -> Subscription:
    tell("customer.subscription.created", whole.subscription(*items, version=version, **fields), version=version)
    assert list(rebuild_rows(repair=False)) == []
    return Subscription.objects.get()


BOTH = pytest.mark.parametrize("version", [whole.CURRENT, whole.LEGACY])


@BOTH
def test_a_price_that_is_only_named_is_the_plan_and_not_free(growth: Price, version: str) -> None:
    item = {**whole.subscription_item(whole.price()), "price": "price_growth", "plan": None}
    thing = {**whole.subscription(version=version), "plan": None}
    thing["items"] = {**thing["items"], "data": [item]}

    tell("customer.subscription.created", thing, version=version)

    row = Subscription.objects.get()
    assert (row.plan_id, row.price_id, row.monthly_cents) == ("growth", "price_growth", 0)
    assert "price_growth has an unknown interval" in row.attention


def test_a_deleted_price_is_not_free(growth: Price) -> None:
    gone = {"id": "price_growth", "object": "price", "deleted": True}
    item = {**whole.subscription_item(whole.price()), "price": gone, "plan": None}

    row = told(whole.subscription_item(whole.price()), items=whole.list_page([item], "/v1/subscription_items"))

    assert row.plan_id == "growth"
    assert "price_growth" in row.attention


def test_a_price_that_is_paid_once_needs_no_attention(growth: Price) -> None:
    once = whole.price("price_setup", 5000, recurring=None, type="one_time")

    assert monthly_amount(whole.subscription(whole.subscription_item(whole.price()))).cents == 7900
    shown = {"items": {"data": [{"price": once, "quantity": 1}]}}
    assert (monthly_amount(shown).cents, monthly_amount(shown).faults) == (0, ())


def test_items_that_are_not_shown_are_said(growth: Price) -> None:
    item = whole.subscription_item(whole.price())

    row = told(item, items=whole.list_page([item], "/v1/subscription_items", has_more=True))

    assert (row.plan_id, row.monthly_cents) == ("growth", 7900)
    assert "more items than the provider shows" in row.attention


@BOTH
@pytest.mark.parametrize("product", ["prod_growth", whole.product(), {"id": "prod_growth", "deleted": True}])
@pytest.mark.parametrize("customer", ["cus_1", whole.customer(), {"id": "cus_1", "deleted": True}])
def test_references_are_read_expanded_deleted_and_by_id(
    growth: Price, product: Any, customer: Any, version: str
) -> None:
    item = whole.subscription_item(whole.price(product=product))

    row = told(item, version=version, customer=customer, latest_invoice=whole.invoice(), default_payment_method=None)

    assert (row.customer.external_id, row.plan_id, row.attention) == ("cus_1", "growth", "")
    growth.refresh_from_db()
    assert growth.product_id == "prod_growth"


@pytest.mark.parametrize("quantity", [0, None, 1, 2**40])
def test_any_quantity_is_stored(growth: Price, quantity: int | None) -> None:
    row = told(whole.subscription_item(whole.price(amount=1), quantity))

    assert row.quantity == (1 if quantity is None else quantity)
    assert (row.monthly_cents, row.attention) == (row.quantity, "")


@pytest.mark.parametrize(
    ("amount", "quantity"), [(2**52, 3), (999_999_999_999, 999_999), (2**53, 1), (2**70, 1), (-5, 1)]
)
def test_a_huge_amount_is_said_or_nothing(growth: Price, amount: int, quantity: int) -> None:
    row = told(whole.subscription_item(whole.price(amount=amount), quantity))

    assert row.monthly_cents == 0
    assert bool(row.attention) is (amount > 0)


@BOTH
@pytest.mark.parametrize(("currency", "amount", "text"), [("jpy", 5000, "5,000 JPY"), ("kwd", 12345, "12.345 KWD")])
def test_currencies_without_and_with_three_decimals(
    growth: Price, currency: str, amount: int, text: str, version: str
) -> None:
    row = told(whole.subscription_item(whole.price(amount=amount, currency=currency)), version=version)
    invoice = whole.invoice(amount, version=version, currency=currency, status="paid", amount_paid=amount)
    tell("invoice.paid", invoice, version=version)

    stored = Invoice.objects.get()
    assert (row.monthly.text(), stored.total.text(), stored.amount_paid.text()) == (text, text, text)


@pytest.mark.parametrize("kind", ["metered", "tiered"])
def test_an_uncountable_item_beside_the_plan_leaves_the_plan_counted(growth: Price, kind: str) -> None:
    fields: dict[str, Any] = {"usage_type": "metered"} if kind == "metered" else {"billing_scheme": "tiered"}
    usage = whole.price("price_usage", None, product="prod_usage", **fields)

    row = told(whole.subscription_item(usage, None, id="si_0"), whole.subscription_item(whole.price(), id="si_1"))

    assert (row.plan_id, row.item_id, row.monthly_cents) == ("growth", "si_1", 7900)
    assert kind in row.attention


NULLS: list[dict[str, Any]] = [
    {"items": None},
    {"items": {"object": "list", "data": None}},
    {"items": {"object": "list", "data": [None, "si_1", {}]}},
    {"customer": None},
    {"discounts": [None, "", {"id": None}]},
    {"automatic_tax": None, "default_tax_rates": [None, {"inclusive": True, "percentage": None}]},
    {"cancellation_details": None, "trial_settings": None, "metadata": None, "status": None},
]


@BOTH
@pytest.mark.parametrize("fields", NULLS)
def test_null_where_an_object_stands_breaks_nothing(growth: Price, fields: dict[str, Any], version: str) -> None:
    tell("customer.subscription.created", {**whole.subscription(version=version), **fields}, version=version)

    assert list(rebuild_rows(repair=False)) == []


@BOTH
@pytest.mark.parametrize(
    "fields",
    [
        {"lines": None}, {"lines": {"data": [None, {}]}}, {"customer": None}, {"status_transitions": None},
        {"total_taxes": None, "total_discount_amounts": [None]}, {"customer_tax_ids": [None, {}]},
        {"customer_address": {"country": None, "line1": 7}}, {"parent": None}, {"payments": {"data": [None, {}]}},
    ],
)  # fmt: skip
def test_an_invoice_with_nulls_is_stored_and_shown(fields: dict[str, Any], version: str) -> None:
    tell("invoice.finalized", {**whole.invoice(version=version), **fields}, version=version)

    row = Invoice.objects.get()
    invoice_details(row)
    assert row.total_cents == 7900


def test_an_invoice_says_that_it_has_more_lines() -> None:
    invoice = whole.invoice()
    tell("invoice.finalized", {**invoice, "lines": {**invoice["lines"], "has_more": True}})

    assert invoice_details(Invoice.objects.get()).has_more_lines


@pytest.mark.parametrize("amount", [None, "seventy", 2**60, 1.5])
@pytest.mark.parametrize(
    ("type", "thing"),
    [
        ("refund.created", whole.refund(100)),
        ("charge.dispute.created", whole.dispute(100)),
        ("credit_note.created", whole.credit_note(100)),
    ],
)
def test_an_amount_given_back_that_cannot_be_read_is_said(type: str, thing: dict[str, Any], amount: object) -> None:
    event = tell(type, {**thing, "amount": amount})

    assert InvoiceAdjustment.objects.get().amount_cents == 0
    assert "cannot be read" in event.attention


def test_an_amount_given_back_that_can_be_read_needs_no_attention() -> None:
    assert tell("refund.created", whole.refund(100)).attention == ""
    assert tell("radar.early_fraud_warning.created", whole.early_fraud_warning()).attention == ""


@pytest.mark.parametrize("text", ["1e-999999", "1e999999", "1e1000000", "NaN", "Infinity", "-0", ""])
def test_a_number_of_a_million_digits_is_made_no_fraction(text: str) -> None:
    coupon = whole.coupon("co_1", percent_off=text, duration="forever")

    assert decimal(text) in (None, Decimal(0))
    found = read_discount(whole.discount("di_1", coupon))
    assert found is not None
    assert found.percent_off == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"invoice_settings": None}, {"metadata": None}, {"email": None, "name": None}, {"address": "Berlin"},
        {"default_source": {"id": "card_1", "object": "card"}, "discount": "di_1"}, {"tax_ids": None},
    ],
)  # fmt: skip
def test_a_customer_with_nulls_is_stored(fields: dict[str, Any]) -> None:
    tell("customer.updated", {**whole.customer(), **fields})

    assert Customer.objects.get().external_id == "cus_1"
