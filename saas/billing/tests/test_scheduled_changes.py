"""A change of plan at the end of the period: planned, shown, called off, made."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from saas.audit.models import AuditEvent
from saas.billing import clock, scheduled_changes
from saas.billing.catalogue.prices import change_price
from saas.billing.checkouts import start_checkout
from saas.billing.models import Customer, Invoice, LocalObject, PendingChange, Plan, Price, PriceTerms, Subscription
from saas.billing.providers import PaymentDeclined
from saas.billing.providers.local import operations, test_clock
from saas.billing.providers.local.gateway import LocalGateway
from saas.billing.subscriptions import SamePlan, cancel_subscription, change_plan, extend_trial
from saas.billing.tasks import make_due_changes
from saas.billing.tests.stripe_stand_in import bill_through_stripe, stand_in
from saas.mail.models import Mail
from saas.testing.factories import stripe_object_factories as whole
from saas.testing.factories.user_factories import Person
from saas.webhook_events.models import WebhookEvent


@pytest.fixture
def planned(customer: Person) -> PendingChange:
    """Growth was bought, and starter is planned."""
    start_checkout(customer.user, plan_id="growth")
    scheduled_changes.schedule_change(customer.user, plan_id="starter", by=customer.user)
    return PendingChange.objects.select_related("subscription", "price").get()


def until_minutes_before(change: PendingChange, minutes: int) -> None:
    test_clock.advance_and_process(change.at - clock.now() - timedelta(minutes=minutes))


def totals() -> list[int]:
    return sorted(Invoice.objects.values_list("total_cents", flat=True))


def test_it_is_made_at_the_end_and_the_next_period_costs_the_new_price(planned: PendingChange) -> None:
    assert planned.at == planned.subscription.current_period_end
    until_minutes_before(planned, 11)
    make_due_changes()
    assert Subscription.objects.get().plan_id == "growth"

    until_minutes_before(planned, 5)
    make_due_changes()
    make_due_changes()

    assert (Subscription.objects.get().plan_id, PendingChange.objects.count()) == ("starter", 0)
    assert totals() == [7_900]  # nothing is given back
    test_clock.advance_and_process(timedelta(minutes=10))
    assert totals() == [1_900, 7_900]
    assert AuditEvent.objects.filter(action="subscription.changed", actor="system").count() == 1


def test_one_that_is_late_is_made_and_the_difference_credited(planned: PendingChange) -> None:
    until_minutes_before(planned, -60)
    make_due_changes()

    assert Subscription.objects.get().plan_id == "starter"
    test_clock.advance_and_process(timedelta(days=32))
    credited = -(totals()[0] - 1_900)  # for the rest of a month that was charged at 79, of which an hour is over
    assert 5_980 <= credited <= 6_000


def test_it_is_called_off_once(planned: PendingChange, customer: Person) -> None:
    scheduled_changes.call_off_change(customer.user, by=customer.user)
    with pytest.raises(scheduled_changes.NothingPending):
        scheduled_changes.call_off_change(customer.user, by=customer.user)

    until_minutes_before(planned, 5)
    make_due_changes()
    assert Subscription.objects.get().plan_id == "growth"


def test_planning_again_replaces_what_was_planned(planned: PendingChange, customer: Person) -> None:
    PendingChange.objects.update(error="The card was declined.")
    scheduled_changes.schedule_change(customer.user, plan_id="scale", by=customer.user)

    row = PendingChange.objects.get()
    assert (row.price.plan_id, row.error) == ("scale", "")


@pytest.mark.parametrize("at_period_end", [True, False])
def test_a_cancellation_ends_it(planned: PendingChange, customer: Person, at_period_end: bool) -> None:
    cancel_subscription(customer.user, at_period_end=at_period_end, reason="", by=customer.user)

    assert not PendingChange.objects.exists()


def test_a_change_at_once_overtakes_it(planned: PendingChange, customer: Person) -> None:
    change_plan(customer.user, plan_id="scale", by=customer.user)

    assert not PendingChange.objects.exists()


def test_a_change_that_is_paid_later_overtakes_it(planned: PendingChange, customer: Person) -> None:
    """Its payment had to be confirmed, so that the change itself was refused, and came by an event."""
    yearly = change_price("growth", PriceTerms("usd", "year", 79_000), by="system")
    row = LocalObject.objects.of_kind("subscription").get()
    operations.change_price(row, yearly.external_id or "", clock.now())
    test_clock.advance_and_process(timedelta(minutes=1))
    assert Subscription.objects.get().current_period_end > planned.at

    make_due_changes()

    assert not PendingChange.objects.exists()
    assert AuditEvent.objects.filter(action="subscription.change_dropped").count() == 1


def test_a_price_that_its_payers_are_moved_to_leaves_it_planned(planned: PendingChange) -> None:
    moved = Price.objects.create(provider="local", external_id="price_moved", plan_id="growth", interval="month")
    Subscription.objects.update(price_id=moved.external_id)
    PendingChange.objects.update(at=clock.now() + timedelta(days=3))

    make_due_changes()

    assert PendingChange.objects.get().at == planned.at


def test_what_is_declined_shows_at_once_what_is_open(planned: PendingChange, customer: Person, settings) -> None:
    row = planned.subscription
    item = whole.subscription_item(whole.price(row.price_id), id=row.item_id)
    shown = whole.subscription(item, id=row.external_id, customer=row.customer.external_id)
    waiting = {**shown, "pending_update": {"expires_at": whole.AT}}
    with stand_in({}) as stripe:
        bill_through_stripe(settings, stripe.url)
        Price.objects.create(
            provider="stripe", external_id="price_y", plan_id="growth", is_current=True, interval="year"
        )
        stripe.answers[f"GET /v1/subscriptions/{row.external_id}"] = shown
        stripe.answers[f"POST /v1/subscriptions/{row.external_id}"] = waiting
        with pytest.raises(PaymentDeclined, match="once you pay its open invoice"):
            change_plan(customer.user, plan_id="growth", interval="year", by=customer.user)

    assert PendingChange.objects.get() == planned
    assert WebhookEvent.objects.latest("pk").status == "processed"  # Stripe's answer, at once


def test_the_same_plan_and_one_that_ends_cannot_be_planned(customer: Person) -> None:
    start_checkout(customer.user, plan_id="growth")
    with pytest.raises(SamePlan):
        scheduled_changes.schedule_change(customer.user, plan_id="growth", by=customer.user)
    Subscription.objects.update(current_period_end=clock.now())  # its renewal is on the way
    with pytest.raises(scheduled_changes.NoPeriodEnd):
        scheduled_changes.schedule_change(customer.user, plan_id="starter", by=customer.user)
    cancel_subscription(customer.user, at_period_end=True, reason="", by=customer.user)
    with pytest.raises(scheduled_changes.NoPeriodEnd):
        scheduled_changes.schedule_change(customer.user, plan_id="starter", by=customer.user)

    assert not PendingChange.objects.exists()


def test_what_the_provider_refuses_is_tried_again(planned: PendingChange, settings) -> None:
    row = planned.subscription
    PendingChange.objects.update(at=timezone.now() + timedelta(minutes=5))  # with Stripe, time is the system's
    with stand_in({}) as stripe:
        bill_through_stripe(settings, stripe.url)
        make_due_changes()
        assert PendingChange.objects.get().error
        stripe.answers[f"POST /v1/subscriptions/{row.external_id}"] = whole.subscription(id=row.external_id)
        make_due_changes()

    asked = stripe.asked[-1].fields
    assert (asked["items[0][price]"], asked["proration_behavior"]) == (planned.price.external_id, "none")
    assert not PendingChange.objects.exists()


def test_two_processes_make_it_once(planned: PendingChange, monkeypatch: pytest.MonkeyPatch) -> None:
    until_minutes_before(planned, 5)
    made: list[int] = []
    change = LocalGateway.change_subscription

    def overtake(self: LocalGateway, **terms: Any) -> None:
        monkeypatch.setattr(LocalGateway, "change_subscription", change)
        made.append(scheduled_changes.make_due_changes())
        change(self, **terms)

    monkeypatch.setattr(LocalGateway, "change_subscription", overtake)
    made.append(scheduled_changes.make_due_changes())

    assert made == [1, 0]
    assert AuditEvent.objects.filter(action="subscription.changed", actor="system").count() == 1


def test_staff_are_told_once_of_a_planned_change_that_is_refused(planned: PendingChange, settings) -> None:
    settings.BILLING_NOTIFY_EMAIL = "money@example.net"
    PendingChange.objects.update(at=timezone.now() + timedelta(minutes=5))
    with stand_in({}) as stripe:
        bill_through_stripe(settings, stripe.url)
        make_due_changes()
        make_due_changes()

    mail = Mail.objects.get(template="billing_alert")
    assert mail.recipient == "money@example.net"
    assert mail.context["what"].startswith(f"planned change to starter refused: {planned.subscription.external_id}")
    assert mail.context["reason"] == "No such object."


def test_a_planned_change_of_what_has_ended_at_the_provider_is_dropped(planned: PendingChange, settings) -> None:
    settings.BILLING_NOTIFY_EMAIL = "money@example.net"
    PendingChange.objects.update(at=timezone.now() + timedelta(minutes=5))
    Customer.objects.update(provider="stripe")
    row = planned.subscription
    path = f"/v1/subscriptions/{row.external_id}"
    over = whole.subscription(id=row.external_id, customer=row.customer.external_id, status="canceled")
    with stand_in({f"GET {path}": over}) as stripe:
        bill_through_stripe(settings, stripe.url)
        make_due_changes()
        make_due_changes()

    assert (Subscription.objects.get().status, PendingChange.objects.count()) == ("canceled", 0)
    assert not Mail.objects.filter(template="billing_alert").exists()


def test_what_was_refused_for_a_day_is_given_up(planned: PendingChange) -> None:
    PendingChange.objects.update(at=clock.now() - scheduled_changes.LATEST)
    make_due_changes()

    assert (Subscription.objects.get().plan_id, PendingChange.objects.count()) == ("growth", 0)
    assert AuditEvent.objects.filter(action="subscription.change_dropped").count() == 1


def test_a_longer_trial_takes_along_what_was_planned_for_its_end(customer: Person, staff_member: Person) -> None:
    Plan.objects.filter(pk="growth").update(trial_days=14)
    start_checkout(customer.user, plan_id="growth")
    scheduled_changes.schedule_change(customer.user, plan_id="starter", by=customer.user)
    planned, row = PendingChange.objects.get(), Subscription.objects.get()
    later = planned.at + timedelta(days=10)
    extend_trial(row, trial_end=later, reason="Was ill", by=staff_member.user)
    make_due_changes()

    until_minutes_before(planned, 5)
    make_due_changes()

    assert (Subscription.objects.get().plan_id, PendingChange.objects.get().at) == ("growth", later)
    until_minutes_before(PendingChange.objects.get(), 5)
    make_due_changes()
    assert (Subscription.objects.get().plan_id, PendingChange.objects.count()) == ("starter", 0)
