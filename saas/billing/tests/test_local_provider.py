"""The lifecycle of a subscription at the local provider, with its test clock."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
import time_machine
from django.core.management import CommandError, call_command

from saas.audit.models import AuditEvent
from saas.billing import clock, entitlements
from saas.billing.checkouts import start_checkout
from saas.billing.models import Invoice, LedgerEntry, LocalObject, PaymentMethod, Subscription
from saas.billing.payment_methods import add_payment_method
from saas.billing.providers.local import invoice_page, lifecycle, test_clock
from saas.billing.providers.local.objects import add_months
from saas.billing.subscriptions import (
    cancel_subscription,
    change_plan,
    preview_next_invoice,
)
from saas.billing.sync.refresh import refresh_subscription_by_staff
from saas.billing.tests.stripe_stand_in import bill_through_stripe
from saas.testing import local_provider
from saas.testing.factories import stripe_object_factories
from saas.testing.factories.user_factories import Person
from saas.webhook_events.models import WebhookEvent

START = datetime(2027, 1, 31, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def at_the_end_of_january():
    with time_machine.travel(START, tick=False):
        yield


def pay_with(person: Person, last4: str = "4242") -> PaymentMethod:
    return add_payment_method(person.user, type="card", provider="visa", last4=last4, exp_month=12, exp_year=2035)


def ledger() -> list[tuple[str, int]]:
    return list(LedgerEntry.objects.order_by("subscription", "number").values_list("kind", "delta_cents"))


def test_a_subscription_renews_every_month_on_its_day(customer: Person) -> None:
    start_checkout(customer.user, plan_id="growth")

    steps = test_clock.advance_and_process(timedelta(days=100))

    row = Subscription.objects.get()
    assert steps == 3
    assert (row.status, row.current_period_end) == ("active", datetime(2027, 5, 31, 12, tzinfo=UTC))
    assert Invoice.objects.filter(status="paid", total_cents=7900).count() == 4
    assert ledger() == [("new", 7900), ("renewal", 0), ("renewal", 0), ("renewal", 0)]


def test_a_card_that_cannot_be_charged_leads_from_grace_to_the_end(customer: Person) -> None:
    pay_with(customer, "0341")
    start_checkout(customer.user, plan_id="growth")

    test_clock.advance_and_process(timedelta(days=29))
    assert Subscription.objects.get().status == "past_due"
    assert entitlements.get_limit(customer.user, "seats") == 25
    test_clock.advance_and_process(timedelta(days=7))
    assert entitlements.get_limit(customer.user, "seats") == 3
    test_clock.advance_and_process(timedelta(days=7))

    row = Subscription.objects.get()
    assert (row.status, row.ambiguous) == ("canceled", False)
    assert ledger() == [("new", 7900), ("renewal", 0), ("past_due", 0), ("canceled", -7900)]


def test_who_cancels_what_is_not_paid_is_charged_no_more(customer: Person) -> None:
    pay_with(customer, "0341")
    start_checkout(customer.user, plan_id="growth")
    test_clock.advance_and_process(timedelta(days=29))
    assert Subscription.objects.get().status == "past_due"

    cancel_subscription(customer.user, at_period_end=True, reason="", by=customer.user)
    pay_with(customer, "4242")
    test_clock.advance_and_process(timedelta(days=40))

    assert Subscription.objects.get().status == "canceled"
    assert AuditEvent.objects.get(action="subscription.canceled").data["at_period_end"] is False
    assert sorted(Invoice.objects.values_list("status", flat=True)) == ["open", "paid"]
    left = LocalObject.objects.get(pk=Invoice.objects.get(status="open").external_id)
    invoice_page.pay_invoice(left, last4="4242")  # of their own accord
    left.refresh_from_db()
    assert left.data["status"] == "paid"


def test_a_new_card_pays_what_is_owed(customer: Person) -> None:
    pay_with(customer, "0341")
    start_checkout(customer.user, plan_id="growth")
    test_clock.advance_and_process(timedelta(days=30))
    assert list(Invoice.objects.order_by("issued_at").values_list("status", flat=True)) == ["paid", "open"]

    pay_with(customer, "4242")

    assert Subscription.objects.get().status == "active"
    assert list(Invoice.objects.order_by("issued_at").values_list("status", flat=True)) == ["paid", "paid"]
    assert ledger()[-1] == ("recovered", 0)


def test_what_is_canceled_for_the_periods_end_ends_then(customer: Person) -> None:
    start_checkout(customer.user, plan_id="growth")
    cancel_subscription(customer.user, at_period_end=True, reason="", by=customer.user)

    assert preview_next_invoice(Subscription.objects.get()) is None
    test_clock.advance_and_process(timedelta(days=27))
    assert entitlements.get_limit(customer.user, "seats") == 25
    test_clock.advance_and_process(timedelta(days=2))

    row = Subscription.objects.get()
    assert (row.status, row.ended_at) == ("canceled", datetime(2027, 2, 28, 12, tzinfo=UTC))
    assert entitlements.get_limit(customer.user, "seats") == 3


def test_a_change_of_plan_is_charged_with_the_next_invoice(customer: Person) -> None:
    start_checkout(customer.user, plan_id="starter")
    test_clock.advance_and_process(timedelta(days=14))

    change_plan(customer.user, plan_id="growth", by=customer.user)
    test_clock.advance_and_process(timedelta(days=15))

    assert list(Invoice.objects.order_by("issued_at").values_list("total_cents", flat=True)) == [1900, 7900 + 3000]
    assert ledger() == [("new", 1900), ("upgrade", 6000), ("renewal", 0)]


def test_a_trial_becomes_a_paid_subscription(customer: Person) -> None:
    card = pay_with(customer)
    lifecycle.start_subscription(card.customer.external_id, "price_local_growth_7900", START, trial_days=14)
    local_provider.deliver_events()
    assert (Subscription.objects.get().status, ledger()) == ("trialing", [("trial_started", 0)])

    test_clock.advance_and_process(timedelta(days=15))

    assert (Subscription.objects.get().status, ledger()) == ("active", [("trial_started", 0), ("new", 7900)])


@pytest.mark.parametrize("words", [("advance", "31d"), ("--advance", "31d")])
def test_the_command_advances_the_clock_and_works_without_a_service(
    customer: Person, settings, words: tuple[str, ...]
) -> None:
    settings.SERVICE_BASE_URLS = {**settings.SERVICE_BASE_URLS, "webhooks": "http://127.0.0.1:1"}  # nobody listens
    start_checkout(customer.user, plan_id="growth")
    out = StringIO()

    call_command("billing_clock", *words, stdout=out)

    assert out.getvalue().splitlines() == [
        "1 steps",
        "The webhooks service does not take the events: they take effect in this process.",
        "It is 2027-03-03 12:00:00 UTC for the local provider.",
    ]
    assert Invoice.objects.filter(status="paid").count() == 2
    renewed = WebhookEvent.objects.filter(type="invoice.paid").latest("pk")
    assert (renewed.source, renewed.status) == ("delivery", "processed")


def test_a_clock_that_is_not_told_how_far_stays(db: None) -> None:
    with pytest.raises(CommandError, match="Say how far"):
        call_command("billing_clock", "advance")


def test_a_trial_is_announced_three_days_before_its_end_then_dunning_ends(customer: Person, settings) -> None:
    settings.BILLING_TRIAL_DAYS = 14
    pay_with(customer, "0341")
    start_checkout(customer.user, plan_id="growth")
    seen = [Subscription.objects.get().status]

    for days in (11, 4, 14):
        test_clock.advance_and_process(timedelta(days=days))
        seen.append(Subscription.objects.get().status)

    assert seen == ["trialing", "trialing", "past_due", "canceled"]
    told = WebhookEvent.objects.get(type="customer.subscription.trial_will_end")
    assert told.provider_created == START + timedelta(days=11)
    assert [kind for kind, _ in ledger()] == ["trial_started", "new", "past_due", "canceled"]


def test_only_the_first_subscription_has_a_trial(customer: Person, settings) -> None:
    settings.BILLING_TRIAL_DAYS = 14
    start_checkout(customer.user, plan_id="growth")
    cancel_subscription(customer.user, at_period_end=False, reason="", by=customer.user)

    start_checkout(customer.user, plan_id="growth")

    assert sorted(Subscription.objects.values_list("status", flat=True)) == ["active", "canceled"]


def test_the_reason_of_a_cancellation_reaches_the_provider(customer: Person) -> None:
    start_checkout(customer.user, plan_id="growth")

    cancel_subscription(customer.user, at_period_end=True, reason="too dear", by=customer.user)

    subscription = LocalObject.objects.of_kind("subscription").get()
    assert subscription.data["cancellation_details"] == {"comment": "too dear"}


def test_refreshing_a_subscription_asks_about_no_other_of_its_customer(customer: Person) -> None:
    start_checkout(customer.user, plan_id="growth")
    row = Subscription.objects.get()
    Invoice.objects.create(
        external_id="in_other", customer=row.customer, subscription_id="sub_other", status="open", attention="No sum."
    )

    refreshed = refresh_subscription_by_staff(row, reason="", by=customer.user)  # the provider has no such invoice

    assert refreshed.status == "active"
    assert AuditEvent.objects.get(action="subscription.refreshed").target == row.pk


def test_stripes_clock_cannot_be_moved(db: None, settings) -> None:
    bill_through_stripe(settings)

    with pytest.raises(CommandError, match="Stripe's time cannot be moved"):
        call_command("billing_clock", "--advance", "1d")


def test_the_rebuild_finds_nothing_after_a_whole_life(customer: Person) -> None:
    pay_with(customer, "0341")
    start_checkout(customer.user, plan_id="growth")
    test_clock.advance_and_process(timedelta(days=60))
    out = StringIO()

    call_command("billing_rebuild", "--check", stdout=out)

    assert out.getvalue() == "0 differences\n"


def test_the_rebuild_puts_right_what_was_changed_by_hand(customer: Person) -> None:
    start_checkout(customer.user, plan_id="growth")
    row = Subscription.objects.get()
    Subscription.objects.update(status="canceled", monthly_cents=1)
    LedgerEntry.objects.all().delete()
    Invoice.objects.all().delete()
    invoice = LocalObject.objects.of_kind("invoice").get().pk
    found = StringIO()

    with pytest.raises(SystemExit):
        call_command("billing_rebuild", "--check", stdout=found)
    assert Subscription.objects.get().status == "canceled"
    call_command("billing_rebuild", stdout=StringIO())

    assert found.getvalue().splitlines() == [
        f"subscription {row.external_id} differs: monthly_cents, status",
        f"ledger of {row.external_id} differs",
        f"invoice {invoice} differs: it is missing",
        "3 differences",
    ]
    assert (Subscription.objects.get().status, ledger()) == ("active", [("new", 7900)])
    assert Invoice.objects.get().status == "paid"


def test_a_row_that_no_event_tells_of_is_named(customer: Person) -> None:
    pay_with(customer)
    PaymentMethod.objects.update(external_id="pm_of_nobody")
    out = StringIO()

    with pytest.raises(SystemExit):
        call_command("billing_rebuild", "--check", stdout=out)

    assert "payment method pm_of_nobody has no event" in out.getvalue()


@pytest.mark.parametrize(
    ("months", "end"), [(1, (2027, 2, 28)), (2, (2027, 3, 31)), (13, (2028, 2, 29)), (24, (2029, 1, 31))]
)
def test_a_month_later_is_the_same_day_or_the_last(months: int, end: tuple[int, int, int]) -> None:
    assert add_months(START, months) == datetime(*end, 12, tzinfo=UTC)


def test_its_prices_and_items_have_what_stripes_have(customer: Person) -> None:
    start_checkout(customer.user, plan_id="growth")

    [line] = LocalObject.objects.get(kind="subscription").data["items"]["data"]

    assert stripe_object_factories.price().keys() == line["price"].keys()
    assert line["price"]["unit_amount_decimal"] == "7900"
    unknown_here = {"billed_until", "billing_thresholds", "current_trial", "plan", "subscription"}
    assert stripe_object_factories.subscription_item(line["price"]).keys() - line.keys() == unknown_here


def test_a_tick_of_the_clock_reads_only_what_may_be_due(customer: Person) -> None:
    start_checkout(customer.user, plan_id="growth")
    paid = LocalObject.objects.of_kind("subscription").get()
    end = lifecycle.period_end(paid)

    assert list(lifecycle.perhaps_due(end - timedelta(seconds=1))) == []
    assert list(lifecycle.perhaps_due(end)) == [paid]
    for status in ("trialing", "past_due"):
        LocalObject.objects.filter(pk=paid.pk).update(data={**paid.data, "status": status})
        assert list(lifecycle.perhaps_due(clock.now())) == [paid]
    LocalObject.objects.filter(pk=paid.pk).update(data={**paid.data, "status": "canceled"})
    assert list(lifecycle.perhaps_due(end)) == []
