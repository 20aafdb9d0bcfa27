"""Each invariant notices the one thing that it is about, and nothing else does."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from saas.accounts.models import User
from saas.billing.checkouts import start_checkout
from saas.billing.models import Checkout, Customer, LedgerEntry, Plan, Subscription
from saas.operations.invariants import find_violations
from saas.testing.factories.user_factories import Person

LATER = timedelta(days=40)


def broken() -> set[tuple[str, str]]:
    return {(violation.name.removeprefix("billing."), violation.subject) for violation in find_violations()}


@pytest.fixture
def row(customer: Person) -> Subscription:
    start_checkout(customer.user, plan_id="growth")
    return Subscription.objects.get()


def test_a_customer_who_pays_breaks_nothing(row: Subscription) -> None:
    assert broken() == set()


def of_subscription(**change: Any) -> Callable[[Subscription], object]:
    return lambda row: Subscription.objects.update(**change)


def of_ledger(**change: Any) -> Callable[[Subscription], object]:
    return lambda row: LedgerEntry.objects.update(**change)


@pytest.mark.parametrize(
    ("spoil", "names"),
    [
        (lambda row: User.objects.update(status="deleted"), {"deleted_customers_pay_nothing"}),
        (lambda row: Customer.objects.update(deleted_at=timezone.now()), {"deleted_customers_pay_nothing"}),
        (of_subscription(plan=None), {"paid_subscriptions_have_a_plan"}),
        (of_subscription(current_period_end=timezone.now() - LATER), {"periods_are_renewed"}),
        (of_subscription(monthly_cents=1), {"the_ledger_adds_up"}),
        (of_subscription(status="unpaid"), {"the_ledger_adds_up"}),
        (of_subscription(currency="eur"), {"the_ledger_adds_up"}),
        (of_ledger(delta_cents=1), {"the_ledger_adds_up", "movements_add_up"}),
        (of_ledger(moved_cents=1), {"movements_add_up"}),
        (of_ledger(currency="eur"), {"the_ledger_adds_up"}),
        (of_ledger(movement="churn"), {"movements_go_their_way"}),
        (of_ledger(movement=""), {"movements_go_their_way"}),
        (of_ledger(is_linked=False), {"ledger_lines_are_their_customers"}),
        (lambda row: LedgerEntry.objects.all().delete(), {"the_ledger_adds_up"}),
        (
            lambda row: LedgerEntry.objects.update(customer=Customer.objects.create(provider="local")),
            {"ledger_lines_are_their_customers"},
        ),
    ],
)
def test_a_row_that_is_spoilt_breaks_what_is_about_it(
    row: Subscription, spoil: Callable[[Subscription], object], names: set[str]
) -> None:
    spoil(row)

    found = broken()
    assert {name for name, _ in found} == names
    assert {subject for _, subject in found} == {row.external_id}


def test_an_account_that_is_deleted_may_run_its_paid_period_out(row: Subscription) -> None:
    User.objects.update(status="deleted")
    Subscription.objects.update(cancel_at_period_end=True)

    assert broken() == set()


def test_who_pays_twice_is_told(row: Subscription) -> None:
    Subscription.objects.create(external_id="sub_2", customer=row.customer, status="active", plan_id="starter")

    assert broken() == {("one_live_subscription", row.customer_id)}


def test_who_paid_and_has_nothing_is_told_once_there_was_time(row: Subscription) -> None:
    Checkout.objects.update(subscription_id="sub_nowhere")
    assert broken() == set()

    Checkout.objects.update(ended_at=timezone.now() - LATER)

    assert broken() == {("paid_checkouts_have_their_subscription", Checkout.objects.get().pk)}


def test_strangers_may_pay_prices_that_are_not_ours(row: Subscription) -> None:
    stub = Customer.objects.create(provider="stripe", external_id="cus_stub")
    Subscription.objects.create(external_id="sub_2", customer=stub, status="active")
    Subscription.objects.create(external_id="sub_3", customer=stub, status="active")

    assert broken() == set()
    assert Plan.objects.count() == 3
