"""What billing does by itself."""

from celery import shared_task
from django.conf import settings

from saas.billing import plan_mapping
from saas.billing.providers.local import event_delivery, test_clock
from saas.billing.sync import reconcile


@shared_task
def turn_local_clock() -> None:
    """The local provider's renewals and ends, and the delivery of what was told; nothing where Stripe bills."""
    test_clock.run_due_steps()
    if not settings.STRIPE_SECRET_KEY:
        event_delivery.deliver_events()


@shared_task
def deliver_local_events(customer_id: str) -> None:
    """The doorbell of the local provider's pages: deliver whatever waits. ``customer_id`` says who was there."""
    event_delivery.deliver_events()


@shared_task
def reconcile_all() -> None:
    """Every night: what the provider says, against what we hold."""
    reconcile.reconcile_all()
    plan_mapping.remap_subscriptions()


@shared_task
def remap_subscriptions(told_of: str) -> None:
    """``told_of`` is the price or product that was told of: it may say what subscriptions are to."""
    plan_mapping.remap_subscriptions()
