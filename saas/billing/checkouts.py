"""Buying a plan: our intent is committed first, then the provider is called, and what it tells takes effect as events."""

import logging
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from saas.accounts.models import User
from saas.audit.actions import record
from saas.billing import providers
from saas.billing.customers import apply_pending_events, ensure_provider_customer, get_or_create_customer
from saas.billing.models import Checkout, Customer, Owner, Plan, Price, Subscription
from saas.billing.providers import Gateway, ProviderRefused
from saas.errors import DomainError, NotFound

logger = logging.getLogger(__name__)

LONGEST_CALL = timedelta(minutes=2)  # whoever has not come back from the provider by then never will


class AlreadySubscribed(DomainError):
    code, title = "already_subscribed", "There is a live subscription already."  # 409


class CheckoutInProgress(DomainError):
    code, title = "checkout_in_progress", "Another checkout is being opened. Try again in a moment."  # 409


class IdempotencyKeyReused(DomainError):
    code, title = "idempotency_key_reused", "This Idempotency-Key was used for another request."  # 409


class NotForSale(DomainError):
    code, title, status = "plan_not_for_sale", "This plan has no price at the payment provider yet.", 503


def start_checkout(user: User, *, plan_id: str, owner: Owner | None = None, idempotency_key: str = "") -> Checkout:
    """Begin to buy a plan for ``owner``: the user herself, or a team for which the caller may pay.

    The same key again, and a second click on the same plan, bring the same checkout. Raises ``NotFound`` for a plan that
    is not on sale, ``AlreadySubscribed``, ``IdempotencyKeyReused``, and what the provider raises.
    """
    plan = Plan.objects.on_sale().filter(pk=plan_id).first()
    if plan is None:
        raise NotFound("There is no such plan.")
    gateway = providers.current_gateway()
    customer = get_or_create_customer(owner or user, gateway)
    _settle_open_checkouts(customer, plan, idempotency_key, gateway)
    checkout = _create_checkout(customer, user, plan, idempotency_key)
    if checkout.status == Checkout.Status.PENDING:
        _go_on(checkout, user, gateway)
    return checkout


def _go_on(checkout: Checkout, user: User, gateway: Gateway) -> None:
    """Take an open checkout as far as it goes now. Whoever finds one that another request has just opened waits, like
    that one, for what the provider told of it: the same click gets the same answer."""
    if checkout.external_id:
        apply_pending_events(checkout.customer)
        checkout.refresh_from_db()
    else:
        _open_session(checkout, user, gateway)


def _settle_open_checkouts(customer: Customer, plan: Plan, idempotency_key: str, gateway: Gateway) -> None:
    """Ask how far an open checkout is: it may have been paid or left in another tab. One of another plan is given up, at
    the provider first."""
    others = customer.checkouts.filter(status=Checkout.Status.PENDING).select_related("customer")
    if idempotency_key:
        others = others.exclude(idempotency_key=idempotency_key)
    for other in others:
        if other.plan_id == plan.pk:
            reconcile_checkout(other)
        else:
            _expire_checkout(other, gateway)


def _expire_checkout(other: Checkout, gateway: Gateway) -> None:
    """Raises ``CheckoutInProgress`` while its session is only just being opened."""
    if other.external_id:
        gateway.expire_checkout(other.external_id)
        apply_pending_events(other.customer)
    elif other.started_at < timezone.now() - LONGEST_CALL:
        _end_checkout(other, Checkout.Status.EXPIRED)
    other.refresh_from_db()
    if other.status == Checkout.Status.PENDING:
        raise CheckoutInProgress(retry_after_seconds=1)


@transaction.atomic
def _create_checkout(customer: Customer, user: User, plan: Plan, idempotency_key: str) -> Checkout:
    """Commit to one attempt: whoever comes at the same time waits for the lock, and gets the same one, of a customer whom
    the provider may have come to know meanwhile."""
    customer = Customer.objects.select_for_update().get(pk=customer.pk)
    if before := _started_before(user, plan, customer, idempotency_key):
        return before
    if Subscription.objects.filter(customer__in=_customer_ids_of_owner(customer)).live().exists():
        raise AlreadySubscribed
    if opened := customer.checkouts.filter(status=Checkout.Status.PENDING).select_related("plan").first():
        if opened.plan_id != plan.pk:
            raise CheckoutInProgress(retry_after_seconds=1)
        return opened
    checkout = Checkout.objects.create(customer=customer, started_by=user, plan=plan, idempotency_key=idempotency_key)
    record("checkout.started", actor=user.pk, target=checkout.pk, plan=plan.pk)
    return checkout


def _started_before(user: User, plan: Plan, customer: Customer, idempotency_key: str) -> Checkout | None:
    if not idempotency_key:
        return None
    before = Checkout.objects.started_by(user).filter(idempotency_key=idempotency_key).first()
    if before and (before.plan_id, before.customer_id) != (plan.pk, customer.pk):
        raise IdempotencyKeyReused
    return before


def _customer_ids_of_owner(customer: Customer) -> list[str]:
    """The same owner's rows at all providers: a subscription of an earlier provider counts, too."""
    same = Customer.objects.filter(user_id=customer.user_id, team_id=customer.team_id)
    return list(same.values_list("pk", flat=True))


def _open_session(checkout: Checkout, user: User, gateway: Gateway) -> None:
    """Have the provider open the session. A call whose end we do not know is repeated with the same key; one that was
    refused is over, and the next click begins anew."""
    price = Price.objects.selling(checkout.plan, gateway.provider).first()
    if price is None:
        _end_checkout(checkout, Checkout.Status.FAILED)
        raise NotForSale(retry_after_seconds=60)
    try:
        customer = ensure_provider_customer(checkout.customer, user, gateway)
        session = gateway.create_checkout(
            reference=checkout.pk,
            customer_id=customer.external_id,
            price_id=price.external_id,
            trial_days=_trial_days(customer),
            idempotency_key=f"checkout:{checkout.pk}",
        )
    except ProviderRefused:
        _end_checkout(checkout, Checkout.Status.FAILED)
        raise
    Checkout.objects.filter(pk=checkout.pk).update(external_id=session.id, url=session.url)
    apply_pending_events(customer)
    checkout.refresh_from_db()


def _trial_days(customer: Customer) -> int:
    """A trial is for those who never had a subscription."""
    is_known = Subscription.objects.filter(customer__in=_customer_ids_of_owner(customer)).exists()
    return 0 if is_known else int(settings.BILLING_TRIAL_DAYS)


def _end_checkout(checkout: Checkout, status: Checkout.Status) -> None:
    """Close an open checkout; one that has been paid meanwhile stays so."""
    pending = Checkout.objects.filter(pk=checkout.pk, status=Checkout.Status.PENDING)
    pending.update(status=status, ended_at=timezone.now())
    checkout.refresh_from_db()


def reconcile_checkout(checkout: Checkout) -> Checkout:
    """Ask the provider how far the session is, so that a return page never waits for a webhook.

    If the provider is away, the checkout is shown as we know it.
    """
    if checkout.status == Checkout.Status.PENDING and checkout.external_id:
        try:
            providers.current_gateway().fetch_checkout(checkout.external_id)
        except DomainError:
            logger.warning("checkout_not_reconciled", extra={"checkout": checkout.pk})
        apply_pending_events(checkout.customer)
        checkout.refresh_from_db()
    return checkout
