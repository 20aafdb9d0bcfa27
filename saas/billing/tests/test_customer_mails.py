"""Mails to customers about payments."""

import json
from datetime import timedelta
from typing import Any

import pytest

from saas.accounts.models import User
from saas.billing import clock
from saas.billing.checkouts import start_checkout
from saas.billing.models import Customer, PendingChange, Price, Subscription
from saas.billing.payment_methods import add_payment_method
from saas.billing.providers.local import test_clock
from saas.billing.subscriptions import cancel_subscription
from saas.mail.models import Mail
from saas.testing import mails
from saas.testing.factories import event_factories
from saas.testing.factories import stripe_object_factories as whole
from saas.testing.factories.stripe_event_factories import receive_event
from saas.testing.factories.user_factories import Person
from saas.webhook_events.actions import append_event, replay_event
from saas.webhook_events.models import WebhookEvent

KEEPS, RETRIED = "You keep your plan for seven days.", "The next attempt is made by itself."


def buy(person: Person, last4: str = "4242") -> None:
    add_payment_method(person.user, type="card", provider="visa", last4=last4, exp_month=12, exp_year=2099)
    start_checkout(person.user, plan_id="growth")


def test_a_failed_payment_is_told_once_however_often_it_is_told_to_us(customer: Person) -> None:
    buy(customer, "0341")
    test_clock.advance_and_process(timedelta(days=32))
    failed = WebhookEvent.objects.get(type="invoice.payment_failed")
    told = json.loads(bytes(failed.payload.body))
    append_event({**told, "id": "evt_again"}, source=WebhookEvent.Source.DELIVERY)

    event_factories.drain()

    (mail,) = mails.deliver_queued_mails("payment_failed")
    assert mail.to == [customer.user.email]
    assert mail.subject == "Your payment failed"
    assert "79.00 USD" in mail.body
    assert WebhookEvent.objects.get(external_id="evt_again").status == "processed"


def test_a_replayed_event_acts_again_and_sends_no_second_mail(customer: Person) -> None:
    buy(customer, "0341")
    test_clock.advance_and_process(timedelta(days=32))
    failed = WebhookEvent.objects.get(type="invoice.payment_failed")
    written = list(Mail.objects.order_by("pk").values_list("pk", "template", "status"))

    replay_event(failed.external_id, by="usr_sam", reason="a drill")
    event_factories.drain()

    failed.refresh_from_db()
    assert (failed.status, failed.attempts, failed.replay_count) == ("processed", 2, 1)
    assert [template for _, template, _ in written].count("payment_failed") == 1
    assert list(Mail.objects.order_by("pk").values_list("pk", "template", "status")) == written


def test_a_trials_end_is_told_three_days_before(customer: Person, settings: Any) -> None:
    settings.BILLING_TRIAL_DAYS = 14
    buy(customer)
    test_clock.advance_and_process(timedelta(days=10))
    assert mails.deliver_queued_mails("trial_ending") == []

    test_clock.advance_and_process(timedelta(days=1, hours=1))

    (mail,) = mails.deliver_queued_mails("trial_ending")
    assert mail.subject.startswith("Your trial ends on ")
    assert "Growth" in mail.body


@pytest.mark.parametrize("leaves", ["cancels", "is banned"])
def test_whoever_has_left_is_not_told(customer: Person, settings: Any, leaves: str) -> None:
    settings.BILLING_TRIAL_DAYS = 14
    buy(customer)
    if leaves == "cancels":
        cancel_subscription(customer.user, at_period_end=True, reason="", by=customer.user)
    else:
        User.objects.filter(pk=customer.user.pk).update(status=User.Status.DISABLED)

    test_clock.advance_and_process(timedelta(days=12))

    assert mails.deliver_queued_mails("trial_ending") == []


@pytest.fixture
def payer(customer: Person) -> Person:
    Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")
    Price.objects.create(provider="stripe", external_id="price_growth", plan_id="growth")
    receive_event("customer.subscription.created", whole.subscription())
    return customer


def text_of_failure_mail(**fields: Any) -> str:
    """Return the text of the mail about an invoice whose payment has failed."""
    receive_event("invoice.payment_failed", whole.invoice(7900, **{"status": "open", **fields}), later=60)
    (mail,) = mails.deliver_queued_mails("payment_failed")
    return str(mail.body)


def test_a_failed_renewal_leaves_the_plan_and_is_tried_again(payer: Person) -> None:
    text = text_of_failure_mail(billing_reason="subscription_cycle", next_payment_attempt=whole.AT + 3 * 86_400)

    assert (KEEPS in text, RETRIED in text) == (True, True)


def test_what_is_not_tried_again_is_not_said_to_be(payer: Person) -> None:
    text = text_of_failure_mail(billing_reason="subscription_cycle", next_payment_attempt=None)

    assert (KEEPS in text, RETRIED in text, "Please check how you pay." in text) == (True, False, True)


@pytest.mark.parametrize("attempts", [1, 2])
def test_only_the_first_attempt_begins_the_days_of_grace(payer: Person, attempts: int) -> None:
    text = text_of_failure_mail(billing_reason="subscription_cycle", attempt_count=attempts)

    assert (KEEPS in text) is (attempts == 1)


@pytest.mark.parametrize("reason", ["subscription_create", "subscription_update", "manual"])
def test_a_first_payment_or_a_change_that_failed_promises_no_days_of_grace(payer: Person, reason: str) -> None:
    text = text_of_failure_mail(billing_reason=reason)

    assert "We could not collect 79.00 USD" in text
    assert KEEPS not in text


def test_a_failed_payment_after_a_cancellation_promises_no_days_of_grace(payer: Person) -> None:
    receive_event("customer.subscription.deleted", whole.subscription(status="canceled"), later=30)

    assert KEEPS not in text_of_failure_mail(billing_reason="subscription_cycle")


def test_a_payment_that_waits_for_confirmation_sends_no_mail_of_failure(payer: Person) -> None:
    asked = whole.invoice(7900, status="open")

    receive_event("invoice.payment_action_required", asked, later=60)
    receive_event("invoice.payment_failed", asked, later=60)

    sent = Mail.objects.filter(template__startswith="payment_").values_list("template", flat=True)
    assert list(sent) == ["payment_action_required"]


def test_a_failure_is_said_where_no_mail_asks_to_confirm(payer: Person, settings: Any) -> None:
    settings.BILLING_MAILS = ["payment_failed"]
    asked = whole.invoice(7900, status="open")

    receive_event("invoice.payment_action_required", asked, later=60)
    receive_event("invoice.payment_failed", asked, later=60)

    assert Mail.objects.get(template__startswith="payment_").template == "payment_failed"


@pytest.mark.parametrize(
    ("missing", "card", "is_asked_for"),
    [("pause", "", True), ("cancel", "", True), ("create_invoice", "", False), ("pause", "pm_1", False)],
)
def test_a_trial_that_needs_a_payment_method_asks_for_it(
    payer: Person, missing: str, card: str, is_asked_for: bool
) -> None:
    ends = {"end_behavior": {"missing_payment_method": missing}}
    trial = whole.subscription(
        status="trialing", trial_end=whole.AT + 3 * 86_400, trial_settings=ends, default_payment_method=card or None
    )
    receive_event("customer.subscription.updated", trial, later=60)

    receive_event("customer.subscription.trial_will_end", trial, later=61)

    (mail,) = mails.deliver_queued_mails("trial_ending")
    assert ("Please add one" in mail.body) is is_asked_for
    assert ("your subscription begins" in mail.body) is not is_asked_for


def test_a_renewal_announces_the_plan_that_was_chosen_for_it(payer: Person) -> None:
    starter = Price.objects.create(provider="stripe", external_id="price_starter", plan_id="starter")
    row = Subscription.objects.get()
    PendingChange.objects.create(subscription=row, price=starter, at=clock.now() + timedelta(days=7))
    upcoming = whole.invoice(94_800, id="", status="draft", next_payment_attempt=whole.AT + 7 * 86_400)
    upcoming["lines"]["data"][0]["period"] = {"start": whole.AT, "end": whole.AT + 365 * 86_400}

    receive_event("invoice.upcoming", upcoming)

    (mail,) = mails.deliver_queued_mails("renewal_upcoming")
    assert "moves to Starter" in mail.body
    assert "948" not in mail.body


def test_a_renewal_with_more_seats_names_no_other_plan(payer: Person) -> None:
    row = Subscription.objects.get()
    same = Price.objects.get(external_id=row.price_id)
    PendingChange.objects.create(subscription=row, price=same, quantity=3, at=clock.now() + timedelta(days=7))
    upcoming = whole.invoice(94_800, id="", status="draft", next_payment_attempt=whole.AT + 7 * 86_400)
    upcoming["lines"]["data"][0]["period"] = {"start": whole.AT, "end": whole.AT + 365 * 86_400}

    receive_event("invoice.upcoming", upcoming)

    (mail,) = mails.deliver_queued_mails("renewal_upcoming")
    assert "with the change that you asked for" in mail.body
    assert ("moves to" in mail.body, "948" in mail.body) == (False, False)


def test_a_mail_about_ones_own_subscription_names_no_team(payer: Person) -> None:
    receive_event("customer.subscription.deleted", whole.subscription(status="canceled"), later=60)

    (mail,) = mails.deliver_queued_mails("subscription_canceled")
    assert "http://localhost:8000/billing" in mail.body.split()
    assert "team" not in mail.body
