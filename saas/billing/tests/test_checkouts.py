"""Checkouts that something else happens to meanwhile."""

from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.db import transaction

from saas.accounts.models import User
from saas.billing import checkouts, clock, providers, tasks
from saas.billing.catalogue.offers import NotForSale
from saas.billing.catalogue.promotions import create_promotion_code
from saas.billing.models import Checkout, Customer, LocalObject, Owner, Plan, PromotionCode, Subscription
from saas.billing.providers.interface import ProviderRefused
from saas.billing.providers.local import objects, operations
from saas.errors import Invalid
from saas.testing.factories import event_factories, stripe_object_factories
from saas.testing.factories.user_factories import Person
from saas.webhook_events.actions import append_event
from saas.webhook_events.models import WebhookEvent


def test_a_click_before_the_customer_was_known_waits_for_the_events(
    customer: Person, settings: Any, monkeypatch: Any
) -> None:
    """The second of two at once had read the customer before the first made her known to the provider."""
    settings.BILLING_LOCAL_CHECKOUT = "hosted"
    opened = checkouts.start_checkout(customer.user, plan_id="growth")
    before = Customer(pk=opened.customer_id, user=customer.user, provider="local")
    with transaction.atomic():
        operations.complete_session(LocalObject.objects.get(pk=opened.external_id), clock.now())
        objects.move_events_to_inbox(opened.customer.external_id)
    monkeypatch.setattr(checkouts, "get_or_create_customer", lambda owner, gateway: before)
    monkeypatch.setattr(checkouts, "_settle_open_checkouts", lambda *_: None)

    again = checkouts.start_checkout(customer.user, plan_id="growth")

    assert (again.pk, again.status) == (opened.pk, "active")


@pytest.mark.parametrize("refusal", [ProviderRefused, NotForSale])
def test_a_checkout_that_was_paid_meanwhile_does_not_fail_by_a_refusal(
    customer: Person, monkeypatch: pytest.MonkeyPatch, refusal: type[Exception]
) -> None:
    """The answer to the first call was lost and its session paid; the repeated call is refused."""

    def refuse(self: object, **call: object) -> None:
        Checkout.objects.update(status="active")
        raise refusal

    monkeypatch.setattr(type(providers.current_gateway()), "create_checkout", refuse)
    with pytest.raises(refusal):
        checkouts.start_checkout(customer.user, plan_id="starter")

    assert Checkout.objects.get().status == "active"


@pytest.mark.parametrize("type", ["checkout.session.expired", "checkout.session.async_payment_failed"])
def test_a_checkout_that_was_paid_is_not_overwritten_by_a_late_event(customer: Person, type: str) -> None:
    """The event that paid it is out of retention."""
    checkout = checkouts.start_checkout(customer.user, plan_id="starter")
    Checkout.objects.update(status="active", external_id="cs_paid", subscription_id="sub_paid")

    late = stripe_object_factories.checkout_session(id="cs_paid", client_reference_id=checkout.pk, status="expired")
    append_event(stripe_object_factories.event(type, late), source=WebhookEvent.Source.DELIVERY)
    event_factories.drain()

    checkout.refresh_from_db()
    assert (checkout.status, checkout.subscription_id) == ("active", "sub_paid")
    assert WebhookEvent.objects.latest("pk").status == "processed"


def team_of(person: Person) -> Any:
    return apps.get_model("teams", "Team").objects.create(name="Crew", owner=person.user)


def trial_days(owner: Owner) -> int:
    return checkouts.first_trial_days(Plan.objects.get(pk="growth"), owner)


@pytest.fixture
def with_trials(db: None) -> None:
    Plan.objects.filter(pk="growth").update(trial_days=14)


@pytest.mark.usefixtures("with_trials")
@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_person_has_one_trial_whatever_teams_they_make(customer: Person, other: Person, is_deleted: bool) -> None:
    first = team_of(customer)
    assert trial_days(first) == 14
    checkouts.start_checkout(customer.user, plan_id="growth", owner=first)
    if is_deleted:
        first.deleted_at = clock.now()
        first.save()

    assert (trial_days(team_of(customer)), trial_days(customer.user)) == (0, 0)
    assert trial_days(other.user) == 14


@pytest.mark.usefixtures("with_trials")
@pytest.mark.parametrize(("status", "days"), [("incomplete", 14), ("incomplete_expired", 14), ("canceled", 0)])
def test_a_first_payment_that_failed_costs_no_trial(customer: Person, status: str, days: int) -> None:
    mine = Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")
    Subscription.objects.create(customer=mine, external_id="sub_1", status=status)

    assert trial_days(customer.user) == days


@pytest.fixture
def spring(db: None) -> None:
    create_promotion_code("SPRING", by="system", percent_off=Decimal(50), duration="once", max_redemptions=1)


@pytest.mark.usefixtures("spring")
def test_a_repeated_call_with_a_code_that_it_used_gets_its_checkout(customer: Person) -> None:
    first = checkouts.start_checkout(customer.user, plan_id="growth", promotion_code="spring", idempotency_key="k1")

    again = checkouts.start_checkout(customer.user, plan_id="growth", promotion_code=" Spring", idempotency_key="k1")

    assert (again.pk, again.status, again.promotion_code) == (first.pk, "active", "SPRING")
    for other in ({"promotion_code": "other"}, {"promotion_code": "spring", "owner": team_of(customer)}):
        with pytest.raises(checkouts.IdempotencyKeyReused):
            checkouts.start_checkout(customer.user, plan_id="growth", idempotency_key="k1", **other)


@pytest.mark.usefixtures("spring")
def test_an_open_checkout_without_the_code_is_replaced_by_one_with_it(customer: Person, settings: Any) -> None:
    settings.BILLING_LOCAL_CHECKOUT = "hosted"
    checkouts.start_checkout(customer.user, plan_id="growth")

    checkouts.start_checkout(customer.user, plan_id="growth", promotion_code="spring")

    opened = Checkout.objects.order_by("started_at").values_list("promotion_code", "status")
    assert list(opened) == [("", "expired"), ("SPRING", "pending")]


@pytest.mark.usefixtures("spring")
def test_a_second_click_after_paying_says_so_before_the_code(customer: Person) -> None:
    checkouts.start_checkout(customer.user, plan_id="growth", promotion_code="spring")

    with pytest.raises(checkouts.AlreadySubscribed):
        checkouts.start_checkout(customer.user, plan_id="growth", promotion_code="spring")


@pytest.mark.usefixtures("spring")
def test_a_code_for_a_while_is_for_a_person_once_over_all_their_teams(customer: Person, other: Person) -> None:
    PromotionCode.objects.update(max_redemptions=None)
    checkouts.start_checkout(customer.user, plan_id="growth", owner=team_of(customer), promotion_code="spring")

    with pytest.raises(Invalid) as refused:
        checkouts.start_checkout(customer.user, plan_id="growth", owner=team_of(customer), promotion_code="spring")

    assert refused.value.errors == {"promotion_code": ["You have used this code already."]}
    checkouts.start_checkout(other.user, plan_id="growth", owner=team_of(other), promotion_code="spring")
    assert Checkout.objects.filter(promotion_code="SPRING").count() == 2


@pytest.mark.parametrize("status", ["active", "disabled", "deleted"])
def test_the_open_checkout_of_who_is_gone_ends(customer: Person, settings: Any, status: str) -> None:
    settings.BILLING_LOCAL_CHECKOUT = "hosted"
    checkout = checkouts.start_checkout(customer.user, plan_id="growth")
    earlier = Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")
    # of a provider that is not configured here
    Checkout.objects.create(customer=earlier, plan_id="growth", external_id="cs_stripe")
    User.objects.update(status=status)

    is_gone = status != "active"
    assert checkouts.expire_orphaned_checkouts() == int(is_gone)

    checkout.refresh_from_db()
    assert checkout.status == ("expired" if is_gone else "pending")
    assert checkouts.expire_orphaned_checkouts() == 0
    assert Checkout.objects.get(external_id="cs_stripe").status == "pending"


def test_the_open_checkout_of_a_team_that_ended_ends(customer: Person, settings: Any) -> None:
    settings.BILLING_LOCAL_CHECKOUT = "hosted"
    team = team_of(customer)
    checkouts.start_checkout(customer.user, plan_id="growth", owner=team)
    team.deleted_at = clock.now()
    team.save()

    tasks.expire_orphaned_checkouts()

    assert Checkout.objects.get().status == "expired"


def test_one_that_cannot_be_ended_holds_up_no_other(
    customer: Person, other: Person, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BILLING_LOCAL_CHECKOUT = "hosted"
    for person in (customer, other):
        checkouts.start_checkout(person.user, plan_id="growth")
    User.objects.update(status="disabled")
    Checkout.objects.filter(customer__user=other.user).update(external_id="cs_slow")
    gateway = type(providers.current_gateway())
    expire = gateway.expire_checkout

    def time_out(self: Any, session_id: str) -> None:
        if session_id == "cs_slow":
            raise providers.ProviderUnavailable
        expire(self, session_id)

    monkeypatch.setattr(gateway, "expire_checkout", time_out)

    assert checkouts.expire_orphaned_checkouts() == 1
    assert Checkout.objects.get(status="pending").external_id == "cs_slow"


def test_a_session_that_the_provider_does_not_know_ends_here(customer: Person, settings: Any) -> None:
    settings.BILLING_LOCAL_CHECKOUT = "hosted"
    checkouts.start_checkout(customer.user, plan_id="growth")
    Checkout.objects.update(external_id="cs_unknown")
    User.objects.update(status="disabled")

    assert (checkouts.expire_orphaned_checkouts(), checkouts.expire_orphaned_checkouts()) == (1, 0)

    row = Checkout.objects.get()
    assert (row.status, row.ended_at is not None) == ("expired", True)  # retention counts from its end


def test_a_session_that_the_provider_does_not_know_stops_no_other_purchase(customer: Person, settings: Any) -> None:
    settings.BILLING_LOCAL_CHECKOUT = "hosted"
    lost = checkouts.start_checkout(customer.user, plan_id="growth")
    Checkout.objects.update(external_id="cs_unknown")

    opened = checkouts.start_checkout(customer.user, plan_id="starter")

    lost.refresh_from_db()
    assert (lost.status, opened.status) == ("expired", "pending")
