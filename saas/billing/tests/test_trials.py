"""Extending a trial."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from saas.audit.models import AuditEvent
from saas.billing import entitlements, providers, webhook_handlers
from saas.billing.checkouts import start_checkout
from saas.billing.customers import ensure_provider_customer, get_or_create_customer
from saas.billing.models import Customer, Subscription
from saas.billing.providers.interface import ProviderRefused
from saas.billing.providers.local import lifecycle, test_clock
from saas.billing.subscriptions import NotOnTrial, extend_trial, resume_paused_trials
from saas.billing.tests.stripe_stand_in import bill_through_stripe, stand_in
from saas.billing.tests.test_checkouts import team_of
from saas.errors import Invalid
from saas.testing import local_provider
from saas.testing.factories import stripe_object_factories as whole
from saas.testing.factories.stripe_event_factories import receive_event
from saas.testing.factories.user_factories import Person
from saas.webhook_events.models import WebhookEvent

START = datetime(2027, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def on_the_first_of_march() -> Iterator[None]:
    with time_machine.travel(START, tick=False):
        yield


@pytest.fixture
def trial(customer: Person) -> Subscription:
    provider_customer = ensure_provider_customer(
        get_or_create_customer(customer.user, providers.current_gateway()), customer.user, providers.current_gateway()
    )
    lifecycle.start_subscription(provider_customer.external_id, "price_local_growth_7900", START, trial_days=14)
    local_provider.deliver_events()
    return Subscription.objects.get()


def test_an_extended_trial_ends_later_and_is_then_paid(
    customer: Person, staff_member: Person, trial: Subscription
) -> None:
    later = START + timedelta(days=28)

    row = extend_trial(trial, trial_end=later, reason="Was ill", by=staff_member.user)

    assert (row.status, row.trial_end, row.current_period_end) == ("trialing", later, later)
    test_clock.advance_and_process(timedelta(days=20))
    assert Subscription.objects.get().status == "trialing"
    assert entitlements.get_limit(customer.user, "seats") == 25
    test_clock.advance_and_process(timedelta(days=8))
    row.refresh_from_db()
    assert (row.status, row.current_period_end) == ("active", datetime(2027, 4, 29, 12, tzinfo=UTC))


def test_it_is_in_the_audit_trail(staff_member: Person, trial: Subscription) -> None:
    extend_trial(trial, trial_end=START + timedelta(days=20), reason="Was ill", by=staff_member.user)

    event = AuditEvent.objects.get(action="subscription.trial_extended")
    assert (event.actor, event.target, event.reason) == (staff_member.user.pk, trial.pk, "Was ill")
    assert event.data == {"before": "2027-03-15T12:00:00+00:00", "trial_end": "2027-03-21T12:00:00+00:00"}
    longest = START + timedelta(days=730)
    assert extend_trial(trial, trial_end=longest, reason="Was ill", by=staff_member.user).trial_end == longest


@pytest.mark.parametrize("days", [-1, 0, 14, 731])
def test_the_new_end_is_after_the_present_one_and_within_two_years(
    staff_member: Person, trial: Subscription, days: int
) -> None:
    told = WebhookEvent.objects.count()

    with pytest.raises(Invalid) as refusal:
        extend_trial(trial, trial_end=START + timedelta(days=days), reason="Was ill", by=staff_member.user)

    assert list(refusal.value.errors or {}) == ["trial_end"]
    assert WebhookEvent.objects.count() == told


def test_a_reason_is_needed(staff_member: Person, trial: Subscription) -> None:
    with pytest.raises(Invalid):
        extend_trial(trial, trial_end=START + timedelta(days=20), reason=" ", by=staff_member.user)


def test_only_a_trial_can_be_extended(customer: Person, staff_member: Person) -> None:
    start_checkout(customer.user, plan_id="growth")

    with pytest.raises(NotOnTrial):
        extend_trial(
            Subscription.objects.get(), trial_end=START + timedelta(days=20), reason="Was ill", by=staff_member.user
        )


def test_a_trial_that_ended_a_moment_ago_is_the_providers_to_refuse(staff_member: Person, trial: Subscription) -> None:
    providers.current_gateway().cancel_subscription(trial.external_id)

    with pytest.raises(ProviderRefused):
        extend_trial(trial, trial_end=START + timedelta(days=20), reason="Was ill", by=staff_member.user)

    assert not AuditEvent.objects.filter(action="subscription.trial_extended").exists()


def test_stripe_is_asked_to_end_the_trial_later_without_a_charge(
    settings: Any, staff_member: Person, trial: Subscription
) -> None:
    later = START + timedelta(days=28)
    answer = {"id": trial.external_id, "object": "subscription", "status": "trialing", "customer": "cus_1"}
    path = f"/v1/subscriptions/{trial.external_id}"
    with stand_in({f"POST {path}": {**answer, "trial_end": int(later.timestamp())}}) as stripe:
        bill_through_stripe(settings, stripe.url, key="sk_test_1")
        extend_trial(trial, trial_end=later, reason="Was ill", by=staff_member.user)

    assert [(asked.method, asked.path, asked.fields) for asked in stripe.asked] == [
        ("POST", path, {"trial_end": str(int(later.timestamp())), "proration_behavior": "none"})
    ]
    assert WebhookEvent.objects.filter(object_id=trial.external_id, source=WebhookEvent.Source.FETCH).count() == 1


# ── Trials without a card, at Stripe ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def paused(customer: Person) -> Subscription:
    Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")
    receive_event("customer.subscription.paused", pause("trial_end_without_payment_method"))
    return Subscription.objects.get()


def pause(reason: str) -> dict[str, Any]:
    why = {"paused": {"type": "subscription", "subscription": {"type": reason}, "transitioned_at": whole.AT}}
    return whole.subscription(status="paused", trial_end=whole.AT, status_details=why)


def asked_and_resumed(reason: str) -> dict[str, Any]:
    return {
        "GET /v1/subscriptions/sub_1": pause(reason),
        "POST /v1/subscriptions/sub_1/resume": whole.subscription(status="active"),
    }


def tell_new_card() -> None:
    card = whole.customer(invoice_settings={"default_payment_method": "pm_1"})
    previous = {"invoice_settings": {"default_payment_method": None}}
    receive_event("customer.updated", card, later=60, previous_attributes=previous)


@pytest.mark.parametrize("card_is_the_subscriptions", [False, True])
def test_what_paused_without_a_card_goes_on_with_one(
    paused: Subscription, settings: Any, card_is_the_subscriptions: bool
) -> None:
    with stand_in(asked_and_resumed("trial_end_without_payment_method")) as here:
        bill_through_stripe(settings, here.url)
        assert resume_paused_trials() == 0  # there is no card yet
        if card_is_the_subscriptions:
            Subscription.objects.update(default_payment_method="pm_1")
        else:
            tell_new_card()

        assert resume_paused_trials("cst_of_another") == 0
        assert resume_paused_trials(paused.customer_id) == 1

    paused.refresh_from_db()
    assert paused.status == "active"
    assert [asked.method for asked in here.asked] == ["GET", "POST"]


def test_one_that_cannot_be_resumed_holds_up_nobody(paused: Subscription, other: Person, settings: Any) -> None:
    refused = Customer.objects.create(user=other.user, provider="stripe", external_id="cus_2")
    Subscription.objects.create(
        pk="sub_00", external_id="sub_refused", customer=refused, status="paused", default_payment_method="pm_2"
    )
    tell_new_card()

    with stand_in(asked_and_resumed("trial_end_without_payment_method")) as here:
        bill_through_stripe(settings, here.url)

        assert any(resume_paused_trials(seconds=0) for _ in range(100))  # one subscription each time


@pytest.mark.parametrize("reason", ["pause_requested", "final_payment_failure"])
def test_where_no_event_says_why_it_is_paused_stripe_is_asked(paused: Subscription, settings: Any, reason: str) -> None:
    receive_event("customer.subscription.updated", whole.subscription(status="paused"), later=30)
    tell_new_card()

    with stand_in(asked_and_resumed(reason)) as here:
        bill_through_stripe(settings, here.url)
        assert [resume_paused_trials(), resume_paused_trials()] == [0, 0]

    assert [asked.method for asked in here.asked] == ["GET"]  # its answer is stored, and says it from then on
    assert Subscription.objects.get().status == "paused"


def test_who_has_another_subscription_by_now_is_not_charged_twice(paused: Subscription, settings: Any) -> None:
    receive_event("customer.subscription.created", whole.subscription(id="sub_2"), later=40)
    tell_new_card()

    with stand_in(asked_and_resumed("trial_end_without_payment_method")) as here:
        bill_through_stripe(settings, here.url)
        assert resume_paused_trials() == 0

    assert here.asked == []


def test_a_trial_of_a_customer_without_an_account_is_not_resumed(paused: Subscription, settings: Any) -> None:
    tell_new_card()
    Customer.objects.update(user=None)

    with stand_in({}) as here:
        bill_through_stripe(settings, here.url)
        assert resume_paused_trials() == 0

    assert here.asked == []


def test_a_subscription_of_another_team_does_not_prevent_the_resumption(
    paused: Subscription, customer: Person, settings: Any
) -> None:
    tell_new_card()
    teams = [team_of(customer), team_of(customer)]
    Customer.objects.update(user=None, team=teams[0])
    other = Customer.objects.create(team=teams[1], provider="stripe", external_id="cus_2")
    Subscription.objects.create(customer=other, external_id="sub_2", status="active")

    with stand_in(asked_and_resumed("trial_end_without_payment_method")) as here:
        bill_through_stripe(settings, here.url)
        assert resume_paused_trials() == 1


def test_a_new_default_card_asks_the_workers_to_go_on(paused: Subscription, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(webhook_handlers, "notify_workers", lambda task, *ids: asked.append((task.name, *ids)))

    tell_new_card()
    receive_event("customer.updated", whole.customer(invoice_settings={"default_payment_method": "pm_1"}), later=120)

    assert asked == [("saas.billing.tasks.resume_paused_trials", paused.customer_id)]


def test_what_was_paused_for_another_reason_is_left_alone(paused: Subscription, settings: Any) -> None:
    receive_event("customer.subscription.updated", pause("pause_requested"), later=30)
    tell_new_card()

    with stand_in({}) as here:
        bill_through_stripe(settings, here.url)
        assert resume_paused_trials() == 0

    assert here.asked == []


def test_a_refused_resumption_leaves_it_paused(paused: Subscription, settings: Any) -> None:
    tell_new_card()

    with stand_in({}) as here:
        bill_through_stripe(settings, here.url)
        assert resume_paused_trials() == 0

    paused.refresh_from_db()
    assert paused.status == "paused"
