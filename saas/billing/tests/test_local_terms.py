"""What the local provider charges: by the year, by seats, with codes, tax and credit, and when cards fail."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine

from saas.audit.models import AuditEvent
from saas.billing import entitlements
from saas.billing.catalogue.prices import change_price
from saas.billing.catalogue.promotions import create_promotion_code, end_promotion_code
from saas.billing.checkouts import AlreadySubscribed, IdempotencyKeyReused, start_checkout
from saas.billing.models import Checkout, Invoice, LocalObject, Plan, Price, PriceTerms, PromotionCode, Subscription
from saas.billing.payment_methods import add_payment_method
from saas.billing.providers import PaymentDeclined, ProviderRefused
from saas.billing.providers.local import test_clock
from saas.billing.subscriptions import (
    NotSubscribed,
    SamePlan,
    cancel_subscription,
    change_plan,
    give_discount,
    plan_change,
    preview_change,
)
from saas.errors import Invalid
from saas.testing.factories.user_factories import Person
from saas.webhook_events.models import WebhookEvent

START = datetime(2027, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def at_new_year(db: None):
    with time_machine.travel(START, tick=False):
        change_price("growth", PriceTerms("usd", "year", 79_000), by="system")
        change_price("growth", PriceTerms("jpy", "month", 9_000), by="system")
        change_price("starter", PriceTerms("eur", "month", 999, is_per_unit=True, included_quantity=3), by="system")
        yield


def totals() -> list[int]:
    return list(Invoice.objects.order_by("issued_at", "id").values_list("total_cents", flat=True))


def paid() -> list[int]:
    return list(Invoice.objects.order_by("issued_at", "id").values_list("amount_paid_cents", flat=True))


def balance() -> int:
    return LocalObject.objects.of_kind("customer").get().data.get("balance", 0)


def code(text: str = "SPRING", **terms: object):
    return create_promotion_code(text, by="system", **{"percent_off": Decimal(25), "duration": "forever", **terms})


def test_a_year_is_charged_once_and_counts_by_the_month(customer: Person) -> None:
    start_checkout(customer.user, plan_id="growth", interval="year")
    steps = test_clock.advance_and_process(timedelta(days=366))

    row = Subscription.objects.get()
    assert (steps, totals(), row.monthly_cents) == (1, [79_000, 79_000], 6_583)
    assert row.current_period_end == datetime(2029, 1, 1, 12, tzinfo=UTC)


def test_a_currency_without_decimals_is_charged_whole(customer: Person) -> None:
    start_checkout(customer.user, plan_id="growth", currency="JPY")

    assert [str(it.total) for it in Invoice.objects.all()] == ["9,000 JPY"]


def test_seats_are_charged_and_given(customer: Person) -> None:
    start_checkout(customer.user, plan_id="starter", currency="eur", quantity=40)

    assert (totals(), entitlements.get_limit(customer.user, "seats")) == ([39_960], 40)


def test_fewer_seats_than_are_included_are_charged_as_those(customer: Person) -> None:
    start_checkout(customer.user, plan_id="starter", currency="eur", seats=2)

    assert (totals(), entitlements.get_limit(customer.user, "seats")) == ([2_997], 3)


@pytest.mark.parametrize(
    ("order", "field"),
    [
        ({"plan_id": "growth", "quantity": 2}, "quantity"),
        ({"plan_id": "starter", "currency": "eur", "quantity": 4, "seats": 5}, "quantity"),
        ({"plan_id": "growth", "currency": "xxx"}, "currency"),
        ({"plan_id": "growth", "currency": "jpy", "interval": "year"}, "interval"),
        ({"plan_id": "growth", "promotion_code": "NOBODYS"}, "promotion_code"),
        ({"plan_id": "growth", "promotion_code": "NOBODYS", "idempotency_key": "k1"}, "promotion_code"),
    ],
)
def test_what_is_not_sold_is_refused_and_leaves_no_checkout(customer: Person, order, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        start_checkout(customer.user, **order)

    assert list(refused.value.errors or {}) == [field]
    assert not Checkout.objects.exists()


def test_the_same_key_for_other_terms_is_refused(customer: Person) -> None:
    start_checkout(customer.user, plan_id="growth", idempotency_key="k", interval="year")

    again = start_checkout(customer.user, plan_id="growth", idempotency_key="k", interval="year")
    with pytest.raises(IdempotencyKeyReused):
        start_checkout(customer.user, plan_id="growth", idempotency_key="k", interval="month")
    with pytest.raises(AlreadySubscribed):
        start_checkout(customer.user, plan_id="growth", interval="year")
    assert Checkout.objects.get() == again


def test_a_code_is_taken_off_as_long_as_it_lasts(customer: Person) -> None:
    code(duration="repeating", duration_months=2)
    start_checkout(customer.user, plan_id="growth", promotion_code="spring")
    test_clock.advance_and_process(timedelta(days=95))

    assert totals() == [5_925, 5_925, 7_900, 7_900]


def test_a_code_of_once_is_taken_off_the_first_invoice_above_zero(customer: Person) -> None:
    code(percent_off=None, amount_off_cents=10_000, currency="usd", duration="once")
    start_checkout(customer.user, plan_id="growth", promotion_code="SPRING")
    test_clock.advance_and_process(timedelta(days=31))

    assert totals() == [0, 7_900]


@pytest.mark.parametrize(
    "terms",
    [
        {"expires_at": START - timedelta(days=1)},
        {"percent_off": None, "amount_off_cents": 100, "currency": "eur"},
    ],
)
def test_a_code_that_does_not_fit_is_refused(customer: Person, terms) -> None:
    code()
    PromotionCode.objects.update(**terms)

    with pytest.raises(Invalid):
        start_checkout(customer.user, plan_id="growth", promotion_code="SPRING")


def test_a_code_is_used_up(customer: Person, other: Person) -> None:
    code(max_redemptions=1)
    start_checkout(customer.user, plan_id="growth", promotion_code="SPRING")

    with pytest.raises(Invalid, match="valid") as refused:
        start_checkout(other.user, plan_id="growth", promotion_code="SPRING")

    assert refused.value.errors == {"promotion_code": ["This code has been used up."]}


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"percent_off": Decimal(0)}, "percent_off"),
        ({"percent_off": Decimal("100.01")}, "percent_off"),
        ({"amount_off_cents": 5, "currency": "usd"}, "percent_off"),
        ({"percent_off": None, "amount_off_cents": 5, "currency": "nix"}, "currency"),
        ({"duration": "always"}, "duration"),
        ({"duration": "repeating"}, "duration_months"),
        ({"duration": "repeating", "duration_months": 61}, "duration_months"),
        ({"duration": "forever", "duration_months": 3}, "duration_months"),
        ({"max_redemptions": 0}, "max_redemptions"),
        ({"max_redemptions": 1_000_001}, "max_redemptions"),
        ({"text": "two words"}, "code"),
    ],
)
def test_an_unusable_code_is_not_made(db: None, terms, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        code(**terms)

    assert list(refused.value.errors or {}) == [field]


def test_a_code_of_once_waits_for_the_end_of_the_trial(customer: Person) -> None:
    Plan.objects.filter(pk="growth").update(trial_days=14)
    code(duration="once")
    start_checkout(customer.user, plan_id="growth", promotion_code="SPRING")
    test_clock.advance_and_process(timedelta(days=15))

    assert totals() == [0, 5_925]


def test_a_code_is_ended_once(db: None) -> None:
    made = code()

    for _ in range(2):
        end_promotion_code(made, by="system")

    assert AuditEvent.objects.filter(action="promotion_code.ended").count() == 1


def test_a_code_with_the_largest_terms_is_made(db: None) -> None:
    made = code(percent_off=Decimal(100), duration="repeating", duration_months=60, max_redemptions=1_000_000)

    assert (made.off, made.span) == ("100 %", "each invoice for 60 months")


def test_staff_give_a_discount_to_a_subscription_that_runs(customer: Person, other: Person) -> None:
    start_checkout(customer.user, plan_id="growth")
    code()

    with pytest.raises(Invalid):
        give_discount(Subscription.objects.get(), code="spring", reason=" ", by=other.user)
    row = give_discount(Subscription.objects.get(), code="spring", reason="An outage.", by=other.user)
    test_clock.advance_and_process(timedelta(days=32))

    assert (row.monthly_cents, totals()) == (5_925, [7_900, 5_925])
    event = AuditEvent.objects.get(action="subscription.discount_given")
    assert (event.actor, event.reason, event.data) == (other.user.pk, "An outage.", {"code": "SPRING", "off": "25 %"})


def test_a_subscription_that_is_over_gets_no_discount(customer: Person) -> None:
    start_checkout(customer.user, plan_id="growth")
    cancel_subscription(customer.user, at_period_end=False, reason="", by=customer.user)
    code()

    with pytest.raises(NotSubscribed):
        give_discount(Subscription.objects.get(), code="SPRING", reason="Sorry.", by=customer.user)


def test_tax_is_added_after_discounts(customer: Person, settings) -> None:
    settings.BILLING_LOCAL_TAX_PERCENT = "8.1"
    code()
    start_checkout(customer.user, plan_id="growth", promotion_code="SPRING")

    invoice = LocalObject.objects.of_kind("invoice").get().data
    assert (invoice["subtotal"], invoice["total_excluding_tax"], invoice["total"]) == (7_900, 5_925, 6_405)
    assert [tax["amount"] for tax in invoice["total_taxes"]] == [480]


def test_a_downgrade_on_day_one_becomes_credit_that_pays_the_next_invoices(customer: Person) -> None:
    start_checkout(customer.user, plan_id="scale")
    preview = preview_change(customer.user, plan_id="starter")
    change_plan(customer.user, plan_id="starter", by=customer.user)

    test_clock.advance_and_process(timedelta(days=31))
    assert (preview.invoice.due_cents, totals(), paid(), balance()) == (0, [24_900, -21_100], [24_900, 0], -21_100)
    test_clock.advance_and_process(timedelta(days=31))
    assert (totals()[2], paid()[2], balance()) == (1_900, 0, -19_200)
    test_clock.advance_and_process(timedelta(days=365))

    assert (sum(totals()[:13]), sum(paid()[:13]), balance()) == (24_900 - 21_100 + 11 * 1_900, 24_900, 0)
    assert paid()[13] == 1_900 - 200


def test_credit_in_one_currency_buys_nothing_in_another(customer: Person) -> None:
    start_checkout(customer.user, plan_id="scale")
    change_plan(customer.user, plan_id="starter", by=customer.user)
    test_clock.advance_and_process(timedelta(days=31))
    cancel_subscription(customer.user, at_period_end=False, reason="", by=customer.user)

    with pytest.raises(ProviderRefused, match="credit in another currency"):
        start_checkout(customer.user, plan_id="growth", currency="jpy")


def test_one_subscriptions_renewal_leaves_what_waits_for_another(customer: Person) -> None:
    from saas.billing.providers.local import invoicing, lifecycle

    start_checkout(customer.user, plan_id="growth")
    customer_id = Subscription.objects.get().customer.external_id
    second = lifecycle.start_subscription(customer_id, "price_local_starter_1900", START + timedelta(days=5))
    invoicing.add_pending_item(second, 500, START)

    test_clock.advance_and_process(timedelta(days=32))

    assert [row.data["amount"] for row in invoicing.pending_items(second)] == [500]


def test_a_change_to_the_year_begins_a_year_and_credits_the_month(customer: Person) -> None:
    start_checkout(customer.user, plan_id="growth")
    preview = preview_change(customer.user, plan_id="growth", interval="year")
    row = change_plan(customer.user, plan_id="growth", interval="year", by=customer.user)

    assert (row.price_id, sorted(totals())) == ("price_local_growth_usd_year_1", [7_900, 79_000 - 7_900])
    assert (row.current_period_end, preview.invoice.due_cents) == (datetime(2028, 1, 1, 12, tzinfo=UTC), 71_100)
    with pytest.raises(SamePlan):
        change_plan(customer.user, plan_id="growth", by=customer.user)


def test_more_seats_are_charged_for_the_rest_of_the_period(customer: Person) -> None:
    start_checkout(customer.user, plan_id="starter", currency="eur", quantity=10)
    test_clock.advance_and_process(timedelta(days=15, hours=12))

    change_plan(customer.user, plan_id="starter", quantity=20, by=customer.user)
    assert entitlements.get_limit(customer.user, "seats") == 20
    test_clock.advance_and_process(timedelta(days=16))

    assert totals() == [9_990, 19_980 + 4_995]


def test_a_plan_that_is_sold_whole_is_bought_once_after_one_per_seat(customer: Person) -> None:
    change_price("growth", PriceTerms("eur", "month", 7_500), by="system")
    start_checkout(customer.user, plan_id="starter", currency="eur", quantity=10)

    row = change_plan(customer.user, plan_id="growth", by=customer.user)

    assert (row.plan_id, row.quantity, row.monthly_cents) == ("growth", 1, 7_500)
    back = change_plan(customer.user, plan_id="starter", by=customer.user, seats=4)
    assert (back.plan_id, back.quantity, back.monthly_cents) == ("starter", 4, 3_996)


def test_a_card_that_fails_is_tried_again_on_three_days(customer: Person) -> None:
    add_payment_method(customer.user, type="card", provider="visa", last4="0341", exp_month=12, exp_year=2035)
    start_checkout(customer.user, plan_id="growth")

    test_clock.advance_and_process(timedelta(days=60))

    failed = WebhookEvent.objects.filter(type="invoice.payment_failed").order_by("provider_created")
    days = [(event.provider_created - datetime(2027, 2, 1, 12, tzinfo=UTC)).days for event in failed]
    assert days == [0, 3, 5, 7]
    assert Subscription.objects.get().status == "canceled"


def test_a_protected_card_waits_for_its_owner(customer: Person) -> None:
    add_payment_method(customer.user, type="card", provider="visa", last4="3184", exp_month=12, exp_year=2035)
    start_checkout(customer.user, plan_id="growth")

    test_clock.advance_and_process(timedelta(days=31))

    assert Subscription.objects.get().status == "past_due"
    assert WebhookEvent.objects.filter(type="invoice.payment_action_required").count() == 1


def test_a_trial_without_a_card_pauses_and_a_card_resumes_it(customer: Person) -> None:
    Plan.objects.filter(pk="growth").update(trial_days=14, trial_needs_card=False)
    start_checkout(customer.user, plan_id="growth")

    test_clock.advance_and_process(timedelta(days=15))
    assert (Subscription.objects.get().status, totals()) == ("paused", [0])
    add_payment_method(customer.user, type="card", provider="visa", last4="4242", exp_month=12, exp_year=2035)

    row = Subscription.objects.get()
    assert (row.status, totals()) == ("active", [0, 7_900])
    assert row.current_period_end == datetime(2027, 2, 16, 12, tzinfo=UTC)


@pytest.mark.parametrize("last4", ["0341", "3184"])  # fails at each charge but the first; asks its owner
def test_a_change_to_the_year_that_is_not_paid_changes_nothing(customer: Person, last4: str) -> None:
    start_checkout(customer.user, plan_id="growth")
    add_payment_method(customer.user, type="card", provider="visa", last4=last4, exp_month=12, exp_year=2099)
    before = Subscription.objects.values().get()

    with pytest.raises(PaymentDeclined):
        change_plan(customer.user, plan_id="growth", interval="year", by=customer.user)

    assert (Subscription.objects.values().get(), paid()) == (before, [7_900])


def test_what_was_free_is_charged_at_once_and_needs_its_payment(customer: Person) -> None:
    change_price("starter", PriceTerms("usd", "month", 0), by="system")
    start_checkout(customer.user, plan_id="starter")
    preview = preview_change(customer.user, plan_id="growth")
    assert (preview.is_charged_now, preview.invoice.due_cents) == (True, 7_900)
    add_payment_method(customer.user, type="card", provider="visa", last4="0341", exp_month=12, exp_year=2099)

    with pytest.raises(PaymentDeclined):
        change_plan(customer.user, plan_id="growth", by=customer.user)
    add_payment_method(customer.user, type="card", provider="visa", last4="4242", exp_month=12, exp_year=2099)
    change_plan(customer.user, plan_id="growth", by=customer.user)

    row = Subscription.objects.get()
    assert (row.plan_id, row.status, sorted(paid())) == ("growth", "active", [0, 7_900])


def test_while_a_payment_is_owed_a_change_to_the_year_waits_for_none(customer: Person) -> None:
    start_checkout(customer.user, plan_id="growth")
    add_payment_method(customer.user, type="card", provider="visa", last4="0341", exp_month=12, exp_year=2099)
    test_clock.advance_and_process(timedelta(days=32))

    row = change_plan(customer.user, plan_id="growth", interval="year", by=customer.user)

    assert (row.status, row.price_id) == ("past_due", "price_local_growth_usd_year_1")


def test_a_code_for_a_while_is_for_each_customer_once(customer: Person, other: Person) -> None:
    code("SPRING", percent_off=Decimal(50), duration="once")
    start_checkout(customer.user, plan_id="growth", promotion_code="spring")
    cancel_subscription(customer.user, at_period_end=False, reason="", by=customer.user)

    with pytest.raises(Invalid) as refused:
        start_checkout(customer.user, plan_id="growth", promotion_code="spring")

    assert refused.value.errors == {"promotion_code": ["You have used this code already."]}
    start_checkout(other.user, plan_id="growth", promotion_code="spring")
    assert Subscription.objects.live().get().customer.user == other.user


def test_a_code_for_ever_is_taken_again(customer: Person) -> None:
    code("PARTNER", percent_off=Decimal(50), duration="forever")
    start_checkout(customer.user, plan_id="growth", promotion_code="partner")
    cancel_subscription(customer.user, at_period_end=False, reason="", by=customer.user)

    start_checkout(customer.user, plan_id="growth", promotion_code="partner")

    assert Subscription.objects.live().get().monthly_cents == 3_950


def test_a_quarterly_subscription_can_change_to_monthly(customer: Person) -> None:
    start_checkout(customer.user, plan_id="growth")
    quarterly = Price.objects.create(
        provider="local", external_id="price_quarter", plan_id="growth", currency="usd", interval="month",
        interval_count=3, unit_amount_cents=20_000,
    )  # fmt: skip
    Subscription.objects.update(price_id=quarterly.external_id)
    row = Subscription.objects.get()

    change = plan_change(row, "growth", "month", None, 1)

    assert (change.price.unit_amount_cents, change.price.interval_count, change.begins_a_period) == (7_900, 1, True)
    with pytest.raises(SamePlan):
        plan_change(row, "growth", "", None, 1)
