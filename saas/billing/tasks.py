"""Billing's background tasks."""

from celery import shared_task

from saas.billing import checkouts, clock, plan_mapping, providers, scheduled_changes, subscriptions
from saas.billing.catalogue import price_moves, prices
from saas.billing.customers import apply_pending_events
from saas.billing.invoices import customer_mails
from saas.billing.linking import evidence
from saas.billing.models import Subscription
from saas.billing.sync import profiles, reconcile


# Its earlier name, which older processes send and receive during an update.
@shared_task(name="saas.billing.tasks.reconcile_all")
def reconcile_due() -> None:
    """Compare customers with the provider, each once a day, and repair what differs. Beat sends it every five minutes: a task
    of all of them would be ended by its time limit."""
    reconcile.reconcile_due()


@shared_task
def do_daily_work() -> None:
    """Announce cards that end, ask for prices, map unknown plans again, resume paused trials. Beat sends it every night."""
    customer_mails.send_expiring_cards(clock.now().date())
    prices.fetch_untold_prices()
    plan_mapping.remap_subscriptions()
    subscriptions.resume_paused_trials()


@shared_task
def resume_paused_trials(customer_id: str) -> None:
    """Go on after a trial, now that there is a card. If this is lost, the daily task does it."""
    subscriptions.resume_paused_trials(customer_id)


@shared_task
def remap_subscriptions(object_id: str) -> None:
    """Look for the plans that were unknown. ``object_id`` is the price or product that has changed."""
    plan_mapping.remap_subscriptions()


@shared_task
def send_profiles() -> None:
    """Send changed addresses and names of customers to the provider. Beat sends it every minute."""
    profiles.send_changed_profiles()


@shared_task
def fetch_subscription(subscription_id: str) -> None:
    """Ask the provider for a subscription whose events do not say everything. If this is lost, the customer's next comparison
    asks."""
    providers.current_gateway().fetch_subscription(subscription_id)
    if row := Subscription.objects.select_related("customer").filter(external_id=subscription_id).first():
        apply_pending_events(row.customer)


@shared_task
def expire_orphaned_checkouts() -> None:
    """Close the provider's pages of accounts and teams that are gone. Beat sends it every five minutes."""
    checkouts.expire_orphaned_checkouts()


@shared_task
def make_due_changes() -> None:
    """Make the changes of plan that were planned for a period that ends within minutes. Beat sends it every minute."""
    scheduled_changes.make_due_changes()


@shared_task
def apply_price_moves() -> None:
    """Move the subscriptions whose day has come to another price. Beat sends it every minute; it may be repeated."""
    price_moves.apply_due_price_moves()


@shared_task
def link_customers() -> None:
    """Link customers who pay and have nothing, where an account has confirmed their address since. Beat sends it."""
    evidence.link_waiting_customers()
