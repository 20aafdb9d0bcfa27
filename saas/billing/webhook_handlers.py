"""Billing's handlers of the provider's events: each projects all stored events of the event's object into its row.

So events may arrive in any order, late, or repeatedly. Types without a handler are stored and ignored.
"""

import logging
from collections.abc import Collection, Iterator
from datetime import datetime

from saas.background_tasks import notify_workers
from saas.billing import customer_mails, providers
from saas.billing.models import Checkout, Customer, Invoice, PaymentMethod, Subscription
from saas.billing.sync import event_history, upsert
from saas.billing.sync.projections import subscriptions
from saas.billing.tasks import remap_subscriptions
from saas.errors import DomainError
from saas.webhook_events.dispatch import Ignore, Retry, before_transaction, handles, object_end_dates
from saas.webhook_events.envelope import EventData
from saas.webhook_events.models import WebhookEvent

logger = logging.getLogger(__name__)


@handles("customer.created", "customer.updated", "customer.deleted")
def handle_customer_event(event: WebhookEvent, data: EventData) -> None:
    upsert.upsert_customer(_object_id(event))


@handles("customer.subscription.*")
def handle_subscription_event(event: WebhookEvent, data: EventData) -> None:
    upsert.upsert_subscription(_object_id(event))


def events_with_ambiguous_order(event_ids: Collection[int]) -> set[int]:
    """Of these events, those of subscriptions whose order of events is ambiguous.

    Only events of the same second can be (``saas.billing.sync.event_order``), and few subscriptions have any: one query
    finds those. The local provider's events are never ambiguous.
    """
    if providers.current_gateway().provider != Customer.Provider.STRIPE:
        return set()
    candidates = dict(event_history.events_sharing_a_second(event_ids))
    ambiguous = {object_id for object_id in set(candidates.values()) if _is_ambiguous(object_id)}
    return {event_id for event_id, object_id in candidates.items() if object_id in ambiguous}


def _is_ambiguous(subscription_id: str) -> bool:
    projection = subscriptions.project_subscription(
        event_history.stored_events(subscription_id, "customer.subscription.")
    )
    return projection is not None and projection.ambiguous and projection.state.status not in Subscription.TERMINAL


@before_transaction("customer.subscription.*", when=events_with_ambiguous_order)
def fetch_ambiguous_subscription(event: WebhookEvent, data: EventData) -> None:
    """Store the provider's answer as one more event. If it does not answer, the row stays flagged, and the next event asks
    again."""
    try:
        providers.current_gateway().fetch_subscription(event.object_id)
    except DomainError:
        logger.warning("ambiguous_subscription_not_fetched", extra={"subscription": event.object_id})


@object_end_dates
def ended_object_ids(since: datetime, until: datetime) -> Iterator[str]:
    """The objects that ended in that time. An invoice ends with its customer; products and prices never end."""
    window = (since, until)
    for rows in (
        Subscription.objects.filter(ended_at__range=window),
        PaymentMethod.objects.filter(detached_at__range=window),
        Checkout.objects.filter(ended_at__range=window).exclude(external_id=""),
        Customer.objects.filter(deleted_at__range=window),
        Invoice.objects.filter(customer__deleted_at__range=window),
    ):
        yield from rows.values_list("external_id", flat=True)


@handles("invoice.*")
def handle_invoice_event(event: WebhookEvent, data: EventData) -> None:
    """``invoice.upcoming`` has no id: the invoice does not exist yet. It is ignored."""
    upsert.upsert_invoice(_object_id(event))


@handles("invoice.payment_failed")
def mail_payment_failed(event: WebhookEvent, data: EventData) -> None:
    customer_mails.send_payment_failed(_object_id(event))


@handles("customer.subscription.trial_will_end")
def mail_trial_ending(event: WebhookEvent, data: EventData) -> None:
    customer_mails.send_trial_ending(_object_id(event))


@handles("payment_method.*")
def handle_payment_method_event(event: WebhookEvent, data: EventData) -> None:
    upsert.upsert_payment_method(_object_id(event))


@handles("product.*")
def handle_product_event(event: WebhookEvent, data: EventData) -> None:
    upsert.upsert_product(_object_id(event))
    _remap_unknown_plans(event)


@handles("price.*")
def handle_price_event(event: WebhookEvent, data: EventData) -> None:
    """``plan.*`` reports the same prices in an older shape, and has no handler."""
    upsert.upsert_price(_object_id(event))
    _remap_unknown_plans(event)


def _remap_unknown_plans(event: WebhookEvent) -> None:
    if Subscription.objects.with_unknown_plan().exists():
        notify_workers(remap_subscriptions, event.object_id)


@handles("checkout.session.*")
def handle_checkout_session_event(event: WebhookEvent, data: EventData) -> None:
    if not upsert.upsert_checkout(_object_id(event)):
        raise Retry("The checkout of this session is not there yet.")


def _object_id(event: WebhookEvent) -> str:
    if not event.object_id:
        raise Ignore("The event shows no object with an id.")
    return event.object_id
