"""What billing does by itself."""

from celery import shared_task
from django.conf import settings

from saas.billing import local_events, local_time, plan_mapping, reconcile


@shared_task
def turn_local_clock() -> None:
    """The local provider's renewals and ends, and the delivery of what was told; nothing where Stripe bills."""
    local_time.catch_up()
    if not settings.STRIPE_SECRET_KEY:
        local_events.deliver()


@shared_task
def deliver_local_events(customer_id: str) -> None:
    """The doorbell of the local provider's pages: deliver whatever waits. ``customer_id`` says who was there."""
    local_events.deliver()


@shared_task
def reconcile_all() -> None:
    """Every night: what the provider says, against what we hold."""
    reconcile.reconcile_all()
    plan_mapping.remap_subscriptions()


@shared_task
def remap_subscriptions(told_of: str) -> None:
    """``told_of`` is the price or product that was told of: it may say what subscriptions are to."""
    plan_mapping.remap_subscriptions()
