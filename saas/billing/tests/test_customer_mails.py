"""Mails to customers about payments."""

import json
from datetime import timedelta
from typing import Any

import pytest

from saas.accounts.models import User
from saas.billing.checkouts import start_checkout
from saas.billing.payment_methods import add_payment_method
from saas.billing.providers.local import test_clock
from saas.billing.subscriptions import cancel_subscription
from saas.mail.models import Mail
from saas.testing import mails
from saas.testing.factories import event_factories
from saas.testing.factories.user_factories import Person
from saas.webhook_events.actions import append_event, replay_event
from saas.webhook_events.models import WebhookEvent


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
