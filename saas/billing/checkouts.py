"""Buying a plan: the checkout is committed first, then the provider is called; its events complete the checkout."""

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

LONGEST_CALL = timedelta(minutes=2)  # to the provider; a request that takes longer has died


class AlreadySubscribed(DomainError):
    code, title = "already_subscribed", "There is a live subscription already."  # 409


class CheckoutInProgress(DomainError):
    code, title = "checkout_in_progress", "Another checkout is being opened. Try again in a moment."  # 409


class IdempotencyKeyReused(DomainError):
    code, title = "idempotency_key_reused", "This Idempotency-Key was used for another request."  # 409


class NotForSale(DomainError):
    code, title, status = "plan_not_for_sale", "This plan has no price at the payment provider yet.", 503


def start_checkout(user: User, *, plan_id: str, owner: Owner | None = None, idempotency_key: str = "") -> Checkout:
    """Start to buy a plan for ``owner``: the user, or a team for which the caller has checked that they may pay.

    The same key again, and a second click on the same plan, return the same checkout. Raises ``NotFound`` for a plan that
    is not on sale, ``AlreadySubscribed``, ``IdempotencyKeyReused``, and what the provider raises.
    """
    plan = Plan.objects.on_sale().filter(pk=plan_id).first()
    if plan is None:
        raise NotFound("There is no such plan.")
    gateway = providers.current_gateway()
    customer = get_or_create_customer(owner or user, gateway)
    _settle_open_checkouts(customer, plan, idempotency_key, gateway)
    checkout = _create_checkout(customer, user, plan, idempotency_key)
    if checkout.status == Checkout.Status.PENDING and checkout.external_id:
        apply_pending_events(checkout.customer)  # another request has just opened it: both get the same answer
        checkout.refresh_from_db()
    elif checkout.status == Checkout.Status.PENDING:
        _open_session(checkout, user, gateway)
    return checkout


def _settle_open_checkouts(customer: Customer, plan: Plan, idempotency_key: str, gateway: Gateway) -> None:
    """Ask the provider about an open checkout: it may have been paid or left in another tab. Expire one of another plan, at
    the provider first."""
    others = customer.checkouts.filter(status=Checkout.Status.PENDING).select_related("customer")
    if idempotency_key:
        others = others.exclude(idempotency_key=idempotency_key)
    for other in others:
        if other.plan_id == plan.pk:
            reconcile_checkout(other)
        else:
            _expire_checkout(other, gateway)


def _expire_checkout(checkout: Checkout, gateway: Gateway) -> None:
    """Raises ``CheckoutInProgress`` while another request opens its session."""
    if checkout.external_id:
        gateway.expire_checkout(checkout.external_id)
        apply_pending_events(checkout.customer)
    elif checkout.started_at < timezone.now() - LONGEST_CALL:
        _end_checkout(checkout, Checkout.Status.EXPIRED)
    checkout.refresh_from_db()
    if checkout.status == Checkout.Status.PENDING:
        raise CheckoutInProgress(retry_after_seconds=1)


@transaction.atomic
def _create_checkout(customer: Customer, user: User, plan: Plan, idempotency_key: str) -> Checkout:
    """The checkout to go on with. A simultaneous request waits for the lock on the customer, and gets the same one."""
    customer = Customer.objects.select_for_update().get(pk=customer.pk)
    if idempotency_key:
        before = Checkout.objects.started_by(user).filter(idempotency_key=idempotency_key).first()
        if before and (before.plan_id, before.customer_id) != (plan.pk, customer.pk):
            raise IdempotencyKeyReused
        if before:
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


def _customer_ids_of_owner(customer: Customer) -> list[str]:
    """The owner's customers at all providers: a subscription at an earlier provider counts, too."""
    same = Customer.objects.filter(user_id=customer.user_id, team_id=customer.team_id)
    return list(same.values_list("pk", flat=True))


def _open_session(checkout: Checkout, user: User, gateway: Gateway) -> None:
    """Open the session at the provider. A call whose result is unknown is repeated with the same key; after a refusal
    the checkout has failed, and the next click starts another."""
    price = Price.objects.selling(checkout.plan, gateway.provider).first()
    if price is None:
        _end_checkout(checkout, Checkout.Status.FAILED)
        raise NotForSale(retry_after_seconds=60)
    try:
        customer = ensure_provider_customer(checkout.customer, user, gateway)
        had_subscription = Subscription.objects.filter(customer__in=_customer_ids_of_owner(customer)).exists()
        session = gateway.create_checkout(
            reference=checkout.pk,
            customer_id=customer.external_id,
            price_id=price.external_id,
            trial_days=0 if had_subscription else settings.BILLING_TRIAL_DAYS,
            idempotency_key=f"checkout:{checkout.pk}",
        )
    except ProviderRefused:
        _end_checkout(checkout, Checkout.Status.FAILED)
        raise
    Checkout.objects.filter(pk=checkout.pk).update(external_id=session.id, url=session.url)
    apply_pending_events(customer)
    checkout.refresh_from_db()


def _end_checkout(checkout: Checkout, status: Checkout.Status) -> None:
    """End a pending checkout; one that has been paid in the meantime stays active."""
    pending = Checkout.objects.filter(pk=checkout.pk, status=Checkout.Status.PENDING)
    pending.update(status=status, ended_at=timezone.now())
    checkout.refresh_from_db()


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
