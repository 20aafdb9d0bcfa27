"""A company's year at the local provider: whatever its customers do, the sums are right.

Customers of four currencies sign up, change plans, intervals and seats, enter codes, have cards that fail, cancel, are
refunded and come back, while the clock runs. Whatever they did: every invoice adds up to the smallest unit, credit goes from
one invoice into the next, what was refunded is off what was paid, revenue and its movements add up, access is what was paid
for, and the rows are what their events say.
"""

import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from io import StringIO

import pytest
import time_machine
from django.core.management import call_command
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saas.accounts.models import User
from saas.billing import clock, entitlements
from saas.billing.catalogue.prices import change_price
from saas.billing.catalogue.promotions import create_promotion_code
from saas.billing.checkouts import start_checkout
from saas.billing.invoices.refunds import cancel_with_refund, refund_invoice
from saas.billing.models import Invoice, LocalObject, Plan, Price, PriceTerms, Subscription
from saas.billing.payment_methods import add_payment_method
from saas.billing.providers.local import test_clock
from saas.billing.providers.local.invoicing import PER_CENT
from saas.billing.subscriptions import (
    cancel_subscription,
    change_plan,
    current_subscription,
    give_discount,
    resume_subscription,
)
from saas.errors import DomainError
from saas.operations.invariants import find_violations
from saas.testing.factories import user_factories

START = datetime(2027, 1, 31, 12, tzinfo=UTC)
CURRENCIES = ("usd", "eur", "jpy", "kwd")
AMOUNTS = {"usd": 7_933, "eur": 6_101, "jpy": 9_800, "kwd": 24_305}
ACTIONS = (
    "buy",
    "plan",
    "interval",
    "seats",
    "code",
    "failing card",
    "card",
    "cancel",
    "leave",
    "resume",
    "refund",
    "refund all",
    "end and refund",
    "wait",
    "wait",
)
CARDS = {"failing card": "0341", "card": "4242"}
PLANS = ("starter", "growth", "scale")
INTERVALS = ("month", "year")
PAST_DUE_DAYS = 7
TAX = "8.1"


@pytest.fixture(autouse=True)
def catalogue(db: None, settings) -> Iterator[None]:
    """Each plan by the month and the year in each currency; ``growth`` is sold per seat."""
    settings.BILLING_LOCAL_TAX_PERCENT = TAX
    with time_machine.travel(START, tick=False):
        for factor, plan in enumerate(PLANS, 1):
            for currency, amount in AMOUNTS.items():
                for interval, months in (("month", 1), ("year", 10)):
                    terms = PriceTerms(currency, interval, amount * factor * months, is_per_unit=plan == "growth")
                    change_price(plan, terms, by="system")
        create_promotion_code(
            "THIRD", by="system", percent_off=Decimal("33.33"), duration="repeating", duration_months=3
        )
        create_promotion_code("ONCE", by="system", percent_off=Decimal(100), duration="once")
        yield


class Company:
    """Its customers, each with a currency, and what they do."""

    def __init__(self, size: int) -> None:
        self.users: list[User] = [user_factories.create_customer().user for _ in range(size)]

    def act(self, who: int, action: str, number: int) -> None:
        """A minute passes, then somebody does something; a refusal changes nothing."""
        test_clock.advance_and_process(timedelta(minutes=1))
        user, currency = self.users[who % len(self.users)], CURRENCIES[who % len(CURRENCIES)]
        with suppress(DomainError):
            self._act(user, currency, action, number)
        test_clock.advance_and_process(timedelta(0))

    def _act(self, user: User, currency: str, action: str, number: int) -> None:
        if action == "wait":
            test_clock.advance_and_process(timedelta(days=1 + number))
        elif action == "buy":
            buy(user, currency, number)
        elif action in CARDS:
            add_payment_method(user, type="card", provider="visa", last4=CARDS[action], exp_month=1, exp_year=2040)
        elif "refund" in action:
            give_back(user, action, number)
        else:
            change(user, action, number)


def buy(user: User, currency: str, number: int) -> None:
    code = ("", "THIRD", "ONCE")[number % 3]
    start_checkout(
        user, plan_id=PLANS[number % 3], interval=INTERVALS[number % 2], currency=currency, promotion_code=code
    )


def change(user: User, action: str, number: int) -> None:
    match action:
        case "plan":
            change_plan(user, plan_id=PLANS[number % 3], by=user)
        case "interval":
            change_plan(user, plan_id=current(user).plan_id or "", interval=INTERVALS[number % 2], by=user)
        case "seats":
            change_plan(user, plan_id=current(user).plan_id or "", quantity=1 + number, by=user)
        case "code":
            give_discount(current(user), code="THIRD", reason="An outage.", by=user)
        case "cancel" | "leave":
            cancel_subscription(user, at_period_end=action == "cancel", reason="", by=user)
        case "resume":
            resume_subscription(user, by=user)


def give_back(user: User, action: str, number: int) -> None:
    if action == "end and refund":
        cancel_with_refund(current(user), reason="It did not suit them.", by=user)
        return
    paid = Invoice.objects.for_owner(user).filter(status="paid", amount_paid_cents__gt=0).order_by("-pk")
    for invoice in paid[:1]:
        amount = None if action == "refund all" else invoice.net_paid.minor * (1 + number) // 50
        refund_invoice(invoice, amount_cents=amount, reason="An outage.", by=user)


def current(user: User) -> Subscription:
    row = current_subscription(user)
    if row is None:
        raise DomainError
    return row


def require_right_sums(company: Company) -> None:
    for user in company.users:
        require_paid_access(user)
    require_right_invoices()
    assert [str(found) for found in find_violations() if found.name.startswith("billing.")] == []
    told = StringIO()
    call_command("billing_rebuild", "--check", stdout=told)
    assert told.getvalue() == "0 differences\n"


def require_paid_access(user: User) -> None:
    """The seats are those of what the provider has as paid, or past due for less than a week; else the free three."""
    seats: list[int | None] = [3]
    mine = LocalObject.objects.of_kind("subscription").filter(
        customer_id__in=user.billing_customers.values("external_id")
    )
    for row in mine:
        if row.data["status"] in {"active", "trialing"} or _is_recently_past_due(row):
            item = row.data["items"]["data"][0]
            price = Price.objects.select_related("plan").get(external_id=item["price"]["id"])
            assert price.plan is not None
            seats.append(item["quantity"] if price.is_per_unit else price.plan.limits["seats"])
    assert entitlements.get_limit(user, "seats") == (None if None in seats else max(map(int, filter(None, seats))))


def _is_recently_past_due(row: LocalObject) -> bool:
    if row.data["status"] != "past_due":
        return False
    since = datetime.fromtimestamp(row.data["past_due_since"], UTC)
    return clock.now() - since < timedelta(days=PAST_DUE_DAYS)


def require_right_invoices() -> None:
    """Each invoice adds up, the credit after one is the credit before the next, and our row says the same."""
    ours = {row.external_id: row for row in Invoice.objects.all()}
    balances: dict[str, int] = {}
    refunded = Counter[str]()
    for refund in LocalObject.objects.of_kind("refund"):
        refunded[refund.data["payment_intent"]] += refund.data["amount"]
    for row in sorted(LocalObject.objects.of_kind("invoice"), key=lambda row: (row.customer_id, row.data["number"])):
        it = row.data
        off = sum(one["amount"] for one in it["total_discount_amounts"])
        tax = sum(one["amount"] for one in it["total_taxes"])
        assert it["subtotal"] == sum(line["amount"] for line in it["lines"]["data"])
        assert it["total"] == it["subtotal"] - off + tax
        assert abs(tax - Fraction(it["subtotal"] - off) * Fraction(TAX) * PER_CENT) <= Fraction(1, 2)
        assert it["starting_balance"] == balances.get(row.customer_id, 0)
        assert it["amount_due"] - it["total"] == it["starting_balance"] - it["ending_balance"]
        assert it["amount_due"] >= 0 >= it["ending_balance"]
        assert it["amount_paid"] == (it["amount_due"] if it["status"] == "paid" else 0)
        balances[row.customer_id] = it["ending_balance"]
        mine = ours.pop(row.pk)
        assert (mine.total_cents, mine.amount_due_cents, mine.amount_paid_cents) == (
            it["total"],
            it["amount_due"],
            it["amount_paid"],
        )
        assert mine.returned_cents == refunded.pop(f"pi_{row.pk}", 0)
        assert 0 <= mine.net_paid.minor <= mine.amount_paid_cents
    assert (ours, refunded) == ({}, {})
    for customer in LocalObject.objects.of_kind("customer"):
        assert customer.data.get("balance", 0) == balances.get(customer.pk, 0)


STEPS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(ACTIONS), st.integers(0, 40)), min_size=3, max_size=6)


@settings(max_examples=2, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_a_few_customers_do_the_sums_are_right(steps: list[tuple[int, str, int]]) -> None:
    with transaction.atomic():
        company = Company(4)
        company.act(1, "buy", 1)
        company.act(1, "plan", 0)
        for who, action, number in steps:
            company.act(who, action, number)
        company.act(1, "wait", 33)

        require_right_sums(company)
        transaction.set_rollback(True)


@pytest.mark.long
def test_a_companys_year_in_four_currencies_adds_up() -> None:
    """Forty customers; a thousand, which takes long, by ``SAAS_COMPANY_CUSTOMERS=1000``."""
    chance = random.Random(2027)
    customers = int(os.environ.get("SAAS_COMPANY_CUSTOMERS", "40"))
    company = Company(customers)
    for who in range(customers):
        company.act(who, "buy", chance.randrange(6))
    for _ in range(12):
        for _ in range(customers // 3):
            action = chance.choice([one for one in ACTIONS if one != "wait"])
            company.act(chance.randrange(customers), action, chance.randrange(41))
        test_clock.advance_and_process(timedelta(days=30))
        for user in chance.sample(company.users, 30):
            require_paid_access(user)

    require_right_sums(company)
    assert {row.currency for row in Invoice.objects.all()} == set(CURRENCIES)
    assert Invoice.objects.filter(returned_cents__gt=0).exists()
    assert Plan.objects.count() == 3
