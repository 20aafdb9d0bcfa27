"""Buying a plan: the checkout is committed first, then the provider is called; its events complete the checkout."""

import logging
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from saas.accounts.models import User
from saas.audit.actions import record
from saas.background_tasks import for_a_while
from saas.billing import providers
from saas.billing.catalogue.offers import NotForSale, find_offer, offered_trial_days
from saas.billing.catalogue.promotions import find_promotion_code
from saas.billing.customers import (
    apply_pending_events,
    get_or_create_customer,
    numbered_key,
    with_provider_customer,
)
from saas.billing.models import Checkout, Customer, Owner, Plan, Price, PromotionCode, Subscription
from saas.billing.models.customers import CLOSED_STATUSES, owned_by_person, person_of
from saas.billing.models.promotions import in_capitals
from saas.billing.providers import CheckoutSession, Gateway, ProviderFailed, ProviderRefused
from saas.billing.subscriptions import refresh_subscription
from saas.errors import DomainError, Invalid, NotFound

logger = logging.getLogger(__name__)

LONGEST_CALL = timedelta(minutes=2)  # to the provider; a request that takes longer has died


class AlreadySubscribed(DomainError):
    code, title = "already_subscribed", "There is a live subscription already."  # 409


class CheckoutInProgress(DomainError):
    code, title = "checkout_in_progress", "Another checkout is being opened. Try again in a moment."  # 409


class IdempotencyKeyReused(DomainError):
    code, title = "idempotency_key_reused", "This Idempotency-Key was used for another request."  # 409


@dataclass(frozen=True)
class Order:
    """What is bought."""

    plan: Plan
    price: Price
    quantity: int
    promotion_code: str = ""

    def is_of(self, checkout: Checkout) -> bool:
        """Return whether ``checkout`` sells the same plan, currency, interval, quantity and code.

        Another version of the price counts as the same.
        """
        price = checkout.price or self.price
        same_price = (price.currency, price.interval) == (self.price.currency, self.price.interval)
        bought = (checkout.plan_id, checkout.quantity, checkout.promotion_code)
        return same_price and bought == (self.plan.pk, self.quantity, self.promotion_code)


def start_checkout(
    user: User,
    *,
    plan_id: str,
    owner: Owner | None = None,
    idempotency_key: str = "",
    interval: str = "",
    currency: str = "",
    quantity: int | None = None,
    promotion_code: str = "",
    seats: int = 1,
    on_page: bool = False,
) -> Checkout:
    """Start to buy a plan for ``owner``: the user, or a team for which the caller has checked that they may pay.

    Where the plan is sold per seat, ``quantity`` is their number; without it it is ``seats``, those that are taken. The same key
    again, and a second click on the same, return the same checkout. ``on_page``: the customer waits for a page to pay on, also
    where the local provider's checkouts are instant. Raises ``NotFound`` for a plan that is not on sale,
    ``Invalid``, ``AlreadySubscribed``, ``IdempotencyKeyReused``, and what the provider raises.
    """
    plan = Plan.objects.on_sale().filter(pk=plan_id).first()
    if plan is None:
        raise NotFound("There is no such plan.")
    price = find_offer(plan, interval=interval, currency=currency)
    payer = owner or user
    order = Order(plan, price, _quantity(price, quantity, seats), in_capitals(promotion_code))
    if order.promotion_code and not _earlier_checkout(user, idempotency_key):
        _check_code(order, payer)
    gateway = providers.current_gateway()
    customer = get_or_create_customer(payer, gateway)
    _settle_open_checkouts(customer, order, idempotency_key, gateway)
    checkout = _find_or_create_checkout(customer, user, order, idempotency_key, payer)
    if checkout.status == Checkout.Status.PENDING and checkout.external_id:
        apply_pending_events(checkout.customer)  # another request has just opened it: both get the same answer
        checkout.refresh_from_db()
    elif checkout.status == Checkout.Status.PENDING:
        _open_session(checkout, user, gateway, on_page=on_page)
    return checkout


def _quantity(price: Price, wanted: int | None, seats: int) -> int:
    if price.is_per_unit and wanted is not None and wanted < seats:
        raise Invalid(errors={"quantity": [f"{seats} seats are taken: buy at least as many."]})
    if not price.is_per_unit and wanted not in {None, 1}:
        raise Invalid(errors={"quantity": ["This plan is sold whole, not per seat."]})
    return price.quantity_for(wanted or seats)


def _earlier_checkout(user: User, idempotency_key: str) -> Checkout | None:
    """The one that the same call has started; without a key no call is the same."""
    if not idempotency_key:
        return None
    return Checkout.objects.started_by(user).filter(idempotency_key=idempotency_key).first()


def _check_code(order: Order, payer: Owner) -> None:
    """Refuse a bad code before anything is changed. ``AlreadySubscribed`` comes first: customers who have just paid would only
    read that their code is used."""
    if Subscription.objects.for_owner(payer).live().exists() and refresh_subscription(payer):
        raise AlreadySubscribed
    find_promotion_code(order.promotion_code, currency=order.price.currency or order.plan.currency, owner=payer)


def _settle_open_checkouts(customer: Customer, order: Order, idempotency_key: str, gateway: Gateway) -> None:
    """Ask the provider about an open checkout: it may have been paid or left in another tab. Expire one of something else, at
    the provider first."""
    others = customer.checkouts.filter(status=Checkout.Status.PENDING).select_related("customer", "price")
    if idempotency_key:
        others = others.exclude(idempotency_key=idempotency_key)
    for other in others:
        if order.is_of(other):
            reconcile_checkout(other)
        else:
            _expire_checkout(other, gateway)


def _expire_checkout(checkout: Checkout, gateway: Gateway) -> None:
    """Raises ``CheckoutInProgress`` while another request opens its session."""
    if checkout.external_id:
        _expire_session(checkout, gateway)
    elif checkout.started_at < timezone.now() - LONGEST_CALL:
        _end_checkout(checkout, Checkout.Status.EXPIRED)
    checkout.refresh_from_db()
    if checkout.status == Checkout.Status.PENDING:
        raise CheckoutInProgress(retry_after_seconds=1)


def _expire_session(checkout: Checkout, gateway: Gateway) -> None:
    """Where the provider has no such session (of another account), the checkout ends here alone."""
    try:
        gateway.expire_checkout(checkout.external_id)
    except ProviderRefused:
        _end_checkout(checkout, Checkout.Status.EXPIRED)
    apply_pending_events(checkout.customer)


def _find_or_create_checkout(
    customer: Customer, user: User, order: Order, idempotency_key: str, payer: Owner
) -> Checkout:
    """Ask the provider about a subscription that is in the way: it may have ended there without an event that reached us."""
    try:
        return _create_checkout(customer, user, order, idempotency_key)
    except AlreadySubscribed:
        if refresh_subscription(payer):
            raise
        return _create_checkout(customer, user, order, idempotency_key)


@transaction.atomic
def _create_checkout(customer: Customer, user: User, order: Order, idempotency_key: str) -> Checkout:
    """The checkout to go on with. A simultaneous request waits for the lock on the customer, and gets the same one."""
    customer = Customer.objects.select_for_update().get(pk=customer.pk)
    if before := _earlier_checkout(user, idempotency_key):
        if not (before.customer_id == customer.pk and order.is_of(before)):
            raise IdempotencyKeyReused
        return before
    if Subscription.objects.filter(customer__in=_customers_of_owner(customer)).live().exists():
        raise AlreadySubscribed
    if opened := customer.checkouts.filter(status=Checkout.Status.PENDING).select_related("plan", "price").first():
        if not order.is_of(opened):
            raise CheckoutInProgress(retry_after_seconds=1)
        return opened
    checkout = Checkout.objects.create(
        customer=customer,
        started_by=user,
        plan=order.plan,
        price=order.price,
        quantity=order.quantity,
        promotion_code=order.promotion_code,
        idempotency_key=idempotency_key,
    )
    record("checkout.started", actor=user.pk, target=checkout.pk, plan=checkout.plan_id)
    return checkout


def _customers_of_owner(customer: Customer) -> QuerySet[Customer]:
    """The owner's customers at all providers: a subscription at an earlier provider counts, too."""
    return Customer.objects.filter(user_id=customer.user_id, team_id=customer.team_id)


def _open_session(checkout: Checkout, user: User, gateway: Gateway, *, on_page: bool) -> None:
    """Open the session at the provider. A call whose result is unknown is repeated with the same key; after a refusal
    the checkout has failed, and the next click starts another."""
    try:
        price = checkout.price or find_offer(checkout.plan)
        customer, session = with_provider_customer(
            checkout.customer, user, gateway, lambda it: _create_session(checkout, it, price, gateway, on_page)
        )
    except ProviderFailed:
        Checkout.objects.filter(pk=checkout.pk).update(opening_attempt=F("opening_attempt") + 1)
        raise
    except (ProviderRefused, NotForSale):
        _end_checkout(checkout, Checkout.Status.FAILED)
        raise
    Checkout.objects.filter(pk=checkout.pk).update(external_id=session.id, url=session.url)
    apply_pending_events(customer)
    checkout.refresh_from_db()


def _create_session(
    checkout: Checkout, customer: Customer, price: Price, gateway: Gateway, on_page: bool
) -> CheckoutSession:
    if customer.pk != checkout.customer_id:  # it was replaced meanwhile
        checkout.refresh_from_db()
    is_free = price.unit_amount_cents == 0
    trial_days = 0 if is_free else _trial_days(checkout.plan, _person_of(customer))
    return gateway.create_checkout(
        reference=checkout.pk,
        customer_id=customer.external_id,
        price_id=price.external_id or "",
        trial_days=trial_days,
        idempotency_key=numbered_key(f"checkout:{checkout.pk}", checkout.opening_attempt),
        quantity=checkout.quantity,
        promotion_code_id=_provider_code(checkout.promotion_code, gateway),
        needs_card=checkout.plan.trial_needs_card if trial_days else not is_free,
        on_page=on_page,
    )


def _person_of(customer: Customer) -> str:
    return customer.user_id or (customer.team.owner_id if customer.team else "")


def first_trial_days(plan: Plan, owner: Owner) -> int:
    """How many days are free for this owner. Only the first subscription of a person begins with a trial: their own, or one of
    a team that they own now, also if it is deleted. One that was never paid does not count."""
    return _trial_days(plan, person_of(owner))


def _trial_days(plan: Plan, person: str) -> int:
    theirs = Subscription.objects.filter(owned_by_person(person, "customer__"))
    began = theirs.exclude(status__in=[Subscription.Status.INCOMPLETE, Subscription.Status.INCOMPLETE_EXPIRED])
    return 0 if began.exists() else offered_trial_days(plan)


def _provider_code(code: str, gateway: Gateway) -> str:
    """The provider's id of our promotion code."""
    row = PromotionCode.objects.by_code(code).first() if code else None
    return gateway.ensure_promotion_code(row) if row else ""


def _end_checkout(checkout: Checkout, status: Checkout.Status) -> None:
    """End a pending checkout; one that has been paid in the meantime stays active."""
    pending = Checkout.objects.filter(pk=checkout.pk, status=Checkout.Status.PENDING)
    pending.update(status=status, ended_at=timezone.now())
    checkout.refresh_from_db()


def expire_orphaned_checkouts() -> int:
    """Expire the open checkouts of accounts that were banned or deleted, and of teams that ended: the provider's page would still
    take their money. Does as many as there is time for; returns how many."""
    gateway = providers.current_gateway()
    pending = Checkout.objects.filter(status=Checkout.Status.PENDING, customer__provider=gateway.provider)
    gone = Q(customer__team__deleted_at__isnull=False) | Q(customer__user__status__in=CLOSED_STATUSES)
    rows = pending.exclude(external_id="").filter(gone).select_related("customer").order_by("?")
    return sum(_expire_orphaned(checkout, gateway) for checkout in for_a_while(rows))


def _expire_orphaned(checkout: Checkout, gateway: Gateway) -> bool:
    try:
        _expire_session(checkout, gateway)
    except DomainError as refusal:
        logger.warning("checkout_not_expired", extra={"checkout": checkout.pk, "reason": refusal.code})
        return False
    return True


def reconcile_checkout(checkout: Checkout) -> Checkout:
    """Fetch the session from the provider, so that a return page never waits for a webhook.

    If the provider does not answer, the checkout is returned as it is stored.
    """
    if checkout.status == Checkout.Status.PENDING and checkout.external_id:
        try:
            providers.current_gateway().fetch_checkout(checkout.external_id)
        except DomainError:
            logger.warning("checkout_not_reconciled", extra={"checkout": checkout.pk})
        apply_pending_events(checkout.customer)
        checkout.refresh_from_db()
    return checkout
