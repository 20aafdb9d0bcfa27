"""Invariants of billing's rows that database constraints cannot express."""

from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.db.models import Case, Count, Exists, F, OuterRef, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from saas.accounts.models import User
from saas.billing import clock
from saas.billing.catalogue.offers import plans_without_price
from saas.billing.catalogue.seeding import configured_prices
from saas.billing.models import Checkout, LedgerEntry, Plan, Price, Subscription
from saas.billing.models.ledger import MOVED_CENTS
from saas.billing.models.subscriptions import IS_EARNING
from saas.operations.invariants import invariant

LATE_EVENT_TOLERANCE = timedelta(days=2)  # for events that are late
_SETTLED = timedelta(hours=1)  # by then a paid checkout's subscription has arrived

_GAINS = [LedgerEntry.Movement.NEW, LedgerEntry.Movement.EXPANSION, LedgerEntry.Movement.REACTIVATION]
_LOSSES = [LedgerEntry.Movement.CONTRACTION, LedgerEntry.Movement.CHURN]


@invariant
def deleted_customers_pay_nothing() -> Iterable[str]:
    """No subscription of a deleted account, team or customer renews."""
    gone = Q(customer__user__status=User.Status.DELETED) | Q(customer__team__deleted_at__isnull=False)
    gone |= Q(customer__deleted_at__isnull=False)
    return _ids(Subscription.objects.renewing().filter(gone))


@invariant
def one_live_subscription() -> Iterable[str]:
    """No customer of ours pays for two subscriptions at once."""
    rows = Subscription.objects.linked().earning().order_by().values("customer").annotate(found=Count("pk"))
    return rows.filter(found__gt=1).values_list("customer", flat=True)


@invariant
def one_open_checkout() -> Iterable[str]:
    """No customer has two open checkouts."""
    rows = Checkout.objects.filter(status=Checkout.Status.PENDING).order_by().values("customer")
    return rows.annotate(found=Count("pk")).filter(found__gt=1).values_list("customer", flat=True)


@invariant
def paid_checkouts_have_their_subscription() -> Iterable[str]:
    """Every paid checkout has its subscription."""
    sold = Subscription.objects.filter(external_id=OuterRef("subscription_id"))
    paid = Checkout.objects.filter(status=Checkout.Status.ACTIVE, ended_at__lt=timezone.now() - _SETTLED)
    return paid.exclude(subscription_id="").filter(~Exists(sold)).values_list("pk", flat=True)


@invariant
def paid_subscriptions_have_a_plan() -> Iterable[str]:
    """Every paid subscription of ours has a price of one of our plans; if not, map the price to a plan in Admin ops."""
    return _ids(Subscription.objects.linked().earning().with_unknown_plan())


@invariant
def periods_are_renewed() -> Iterable[str]:
    """No subscription that gives access is two days past its period: its events are missing."""
    running = Subscription.objects.filter(status__in=Subscription.GRANTING)
    return _ids(running.filter(current_period_end__lt=clock.now() - LATE_EVENT_TOLERANCE))


@invariant
def the_ledger_adds_up() -> Iterable[str]:
    """A subscription's ledger adds up to its monthly revenue; if not, run manage.py billing_rebuild."""
    booked = Coalesce(Sum("ledger__delta_cents", filter=Q(ledger__currency=F("currency"))), 0)
    other = Coalesce(Sum("ledger__delta_cents", filter=~Q(ledger__currency=F("currency"))), 0)
    brings = Case(When(IS_EARNING, then=F("monthly_cents")), default=Value(0))
    rows = Subscription.objects.annotate(booked=booked, other=other, brings=brings)
    return _ids(rows.exclude(booked=F("brings"), other=0))


@invariant
def movements_go_their_way() -> Iterable[str]:
    """New revenue and expansion are positive, contraction and churn negative, and other changes zero."""
    is_right = Q(movement__in=_GAINS, moved__gt=0) | Q(movement__in=_LOSSES, moved__lt=0) | Q(movement="", moved=0)
    entries = LedgerEntry.objects.alias(moved=MOVED_CENTS).filter(~is_right)
    return _ids(Subscription.objects.filter(Exists(entries.filter(subscription=OuterRef("pk")))))


@invariant
def movements_add_up() -> Iterable[str]:
    """What is booked of a customer's revenue adds up to what changed; if not, run manage.py billing_rebuild."""
    sums = LedgerEntry.objects.order_by().values("customer", "currency")
    wrong = sums.annotate(net=Sum("delta_cents"), moved=Sum(MOVED_CENTS)).exclude(net=F("moved"))
    return _ids(Subscription.objects.filter(customer__in=wrong.values("customer")))


@invariant
def ledger_lines_are_their_customers() -> Iterable[str]:
    """Every ledger entry has its subscription's customer, and says whether that is one of ours."""
    strays = LedgerEntry.objects.exclude(customer=F("subscription__customer"))
    is_ours = Q(customer__user__isnull=False) | Q(customer__team__isnull=False)
    wrong = LedgerEntry.objects.filter(~is_ours, is_linked=True) | LedgerEntry.objects.filter(is_ours, is_linked=False)
    rows = (strays | wrong).order_by()
    return rows.values_list("subscription__external_id", flat=True).distinct()


@invariant
def plans_on_sale_have_a_price() -> Iterable[str]:
    """Every plan on sale has a price at the provider; if not, name it in STRIPE_PRICES or run manage.py stripe_sync_plans."""
    return plans_without_price()


@invariant
def configured_prices_name_our_plans() -> Iterable[str]:
    """STRIPE_PRICES names plans that are there."""
    named = set(configured_prices()) if settings.STRIPE_PRICES else set()
    return sorted(named - set(Plan.objects.filter(pk__in=named).values_list("pk", flat=True)))


@invariant
def a_plan_has_one_current_price_of_a_kind() -> Iterable[str]:
    """A plan has one current price for each provider, currency and interval."""
    rows = Price.objects.filter(is_current=True, plan__isnull=False).order_by()
    kinds = rows.values("plan", "provider", "currency", "interval").annotate(found=Count("pk"))
    return sorted(set(kinds.filter(found__gt=1).values_list("plan", flat=True)))


def _ids(rows: QuerySet[Subscription]) -> Iterable[str]:
    return rows.order_by("external_id").values_list("external_id", flat=True)
