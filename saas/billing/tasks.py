"""Billing's background tasks."""

from celery import shared_task

from saas.billing import plan_mapping
from saas.billing.sync import reconcile


@shared_task
def reconcile_all() -> None:
    """Compare every customer with the provider, and repair what differs. Beat sends it every night."""
    reconcile.reconcile_all()
    plan_mapping.remap_subscriptions()


@shared_task
def remap_subscriptions(object_id: str) -> None:
    """Look for the plans that were unknown. ``object_id`` is the price or product that has changed."""
    plan_mapping.remap_subscriptions()
