"""Moving those who pay an earlier version of a price to the present one, on a day, with notice."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from saas.audit.models import AuditEvent
from saas.billing import clock
from saas.billing.catalogue import price_moves
from saas.billing.catalogue.prices import change_price
from saas.billing.checkouts import start_checkout
from saas.billing.models import Customer, Invoice, Price, PriceMove, PriceTerms, Subscription
from saas.billing.providers.local import test_clock
from saas.billing.subscriptions import cancel_subscription, change_plan
from saas.billing.tasks import apply_price_moves
from saas.billing.tests.fake_stripe import SUBSCRIPTION_CANCELED
from saas.billing.tests.stripe_stand_in import bill_through_stripe, stand_in
from saas.errors import Invalid
from saas.mail.models import Mail
from saas.testing.factories import stripe_object_factories as whole
from saas.testing.factories import user_factories
from saas.testing.factories.user_factories import Person

FORTNIGHT = timedelta(days=14)


@pytest.fixture
def old(customer: Person) -> Price:
    """The price that the customer bought, which is replaced by a dearer one."""
    start_checkout(customer.user, plan_id="growth")
    old = Price.objects.get(external_id=Subscription.objects.get().price_id)
    change_price("growth", PriceTerms("usd", "month", 9_900), by="system")
    old.refresh_from_db()
    return old


def schedule(old: Price, after: timedelta = FORTNIGHT + timedelta(hours=1)) -> PriceMove:
    return price_moves.schedule_price_move(
        old,
        price_moves.current_version(old),
        effective_at=clock.now() + after,
        reason="Costs rose.",
        by=user_factories.create_staff_member().user,
    )


def test_the_preview_says_who_pays_what_since_when_and_what_they_will_pay(old: Price) -> None:
    start_checkout(user_factories.create_customer().user, plan_id="growth")  # pays the new price already

    stub = Customer.objects.create(provider="local", external_id="cus_stub")  # linked to no account
    Subscription.objects.create(
        customer=stub, external_id="sub_stub", status="active", price_id=old.external_id, item_id="si_stub"
    )

    [payer] = price_moves.preview_price_move(old, price_moves.current_version(old))

    assert payer.subscription.price_id == old.external_id
    assert (payer.pays.minor, payer.will_pay.minor, payer.since) == (7_900, 9_900, payer.subscription.started_at)
    assert not PriceMove.objects.exists()
    assert not Mail.objects.filter(template="price_change").exists()


def test_payers_are_told_at_once_and_moved_on_the_day_without_a_charge(old: Price) -> None:
    move = schedule(old)

    mail = Mail.objects.get(template="price_change")
    assert (mail.context["amount"], mail.context["new_amount"]) == ("79.00 USD", "99.00 USD")
    assert AuditEvent.objects.get(action="price.move_scheduled").data["subscriptions"] == 1
    apply_price_moves()
    assert Subscription.objects.get().price_id == old.external_id  # not before the day

    test_clock.advance_and_process(FORTNIGHT + timedelta(hours=2))
    apply_price_moves()
    apply_price_moves()

    row = Subscription.objects.get()
    move.refresh_from_db()
    assert (row.price_id, row.monthly_cents, row.plan_id) == (move.to_price.external_id, 9_900, "growth")
    assert (move.ended_at is None, move.is_called_off, move.steps.get().status) == (False, False, "moved")
    assert AuditEvent.objects.filter(action="subscription.price_moved", target=row.pk).count() == 1
    assert [invoice.total_cents for invoice in Invoice.objects.all()] == [7_900]
    test_clock.advance_and_process(timedelta(days=20))
    assert sorted(invoice.total_cents for invoice in Invoice.objects.all()) == [7_900, 9_900]


def test_who_has_left_or_changed_by_then_is_left_alone(old: Price, customer: Person) -> None:
    move = schedule(old)
    change_plan(customer.user, plan_id="starter", by=customer.user)

    test_clock.advance_and_process(FORTNIGHT + timedelta(hours=2))
    apply_price_moves()

    assert (Subscription.objects.get().plan_id, move.steps.get().status) == ("starter", "left_alone")
    assert not AuditEvent.objects.filter(action="subscription.price_moved").exists()


def test_a_subscription_that_ends_with_its_period_is_not_moved(old: Price, customer: Person) -> None:
    cancel_subscription(customer.user, at_period_end=True, reason="", by=customer.user)

    move = schedule(old)

    assert price_moves.preview_price_move(old, move.to_price) == []
    assert not Mail.objects.filter(template="price_change").exists()


def test_an_ended_subscription_is_left_alone(old: Price, customer: Person) -> None:
    move = schedule(old)
    cancel_subscription(customer.user, at_period_end=False, reason="", by=customer.user)

    test_clock.advance_and_process(FORTNIGHT + timedelta(hours=2))
    apply_price_moves()

    assert move.steps.get().status == "left_alone"


def test_a_move_that_is_called_off_moves_nobody(old: Price) -> None:
    move = schedule(old)
    staff = user_factories.create_staff_member().user

    price_moves.call_off_price_move(move, reason="It was a mistake.", by=staff)
    test_clock.advance_and_process(FORTNIGHT + timedelta(hours=2))
    apply_price_moves()

    assert Subscription.objects.get().price_id == old.external_id
    with pytest.raises(price_moves.PriceMoveEnded):
        price_moves.call_off_price_move(move, reason="Again.", by=staff)


def test_a_move_needs_notice_and_is_planned_once(old: Price) -> None:
    with pytest.raises(Invalid):
        schedule(old, FORTNIGHT - timedelta(hours=1))
    schedule(old)
    with pytest.raises(price_moves.PriceMovePlanned):
        schedule(old)

    assert (PriceMove.objects.count(), Mail.objects.filter(template="price_change").count()) == (1, 1)


def test_nobody_is_moved_to_another_plan_or_to_a_price_that_is_not_sold(old: Price) -> None:
    sold = price_moves.current_version(old)
    other = Price.objects.get(plan_id="starter", is_current=True, interval="month", provider="local")
    per_seat = price_moves.current_version(old)
    per_seat.is_per_unit = True
    by_the_quarter = price_moves.current_version(old)
    by_the_quarter.interval_count = 3
    for pair in ((old, other), (old, per_seat), (old, by_the_quarter), (sold, old), (old, old)):
        with pytest.raises(Invalid):
            price_moves.preview_price_move(*pair)


def test_at_stripe_a_move_has_no_proration_and_is_retried_after_an_hour(old: Price, settings) -> None:
    schedule(old)
    row = Subscription.objects.get()
    new = price_moves.current_version(old)
    PriceMove.objects.update(effective_at=timezone.now())  # with Stripe, time is the system's
    with stand_in({}) as stripe:
        bill_through_stripe(settings, stripe.url)
        apply_price_moves()  # it does not know the subscription
        assert PriceMove.objects.get().steps.get().error
        asked_before = len(stripe.asked)
        apply_price_moves()  # a minute later
        assert len(stripe.asked) == asked_before
        stripe.answers[f"POST /v1/subscriptions/{row.external_id}"] = whole.subscription(id=row.external_id)
        with time_machine.travel(timezone.now() + timedelta(hours=1, minutes=1)):
            apply_price_moves()

    asked = stripe.asked[-1]
    assert (asked.fields["items[0][price]"], asked.fields["proration_behavior"]) == (new.external_id, "none")
    assert PriceMove.objects.get().steps.get().status == "moved"


def test_what_has_ended_at_stripe_without_an_event_is_left_alone(old: Price, settings) -> None:
    schedule(old)
    row = Subscription.objects.select_related("customer").get()
    PriceMove.objects.update(effective_at=timezone.now())
    path = f"/v1/subscriptions/{row.external_id}"
    over = whole.subscription(
        id=row.external_id,
        customer=row.customer.external_id,
        status="canceled",
        ended_at=int(timezone.now().timestamp()),
    )
    with stand_in({f"POST {path}": [SUBSCRIPTION_CANCELED], f"GET {path}": over}) as stripe:
        bill_through_stripe(settings, stripe.url)
        apply_price_moves()

    assert PriceMove.objects.get().steps.get().status == "left_alone"
