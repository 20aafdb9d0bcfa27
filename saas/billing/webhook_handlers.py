"""Billing's handlers of the provider's events: each projects all stored events of the event's object into its row.

So events may arrive in any order, late, or repeatedly. Types without a handler are stored and ignored. The handlers of
invoices, payments and refunds are in ``saas.billing.invoices.event_handlers``.
"""

import logging
from collections.abc import Collection
from datetime import timedelta

from django.utils import timezone

from saas.background_tasks import notify_workers
from saas.billing import providers
from saas.billing.catalogue import prices
from saas.billing.invoices import (
    customer_mails,
    details_elsewhere,
    event_handlers,  # noqa: F401  registers the handlers of invoices, payments and refunds
)
from saas.billing.linking.evidence import link_by_evidence
from saas.billing.models import Customer, Subscription
from saas.billing.providers.interface import EVENT_TYPES
from saas.billing.sync import event_history, stripe_objects, upsert
from saas.billing.sync.discounts import discount_coupon, hides_currencies
from saas.billing.sync.projections import subscriptions
from saas.billing.tasks import fetch_subscription, remap_subscriptions, resume_paused_trials
from saas.errors import DomainError
from saas.security.untrusted_json import as_object
from saas.webhook_events.dispatch import Ignore, Retry, before_transaction, handlers_for, handles, require_object_id
from saas.webhook_events.envelope import EventData, load_event_data
from saas.webhook_events.models import WebhookEvent

logger = logging.getLogger(__name__)

COMMITTED_WITHIN = timedelta(minutes=1)  # we commit a checkout before the provider hears of it


@handles("customer.created", "customer.updated", "customer.deleted")
def handle_customer_event(event: WebhookEvent, data: EventData) -> None:
    row = upsert.upsert_customer(require_object_id(event))
    if row and not row.is_linked:
        link_by_evidence(event.object_id)
    elif row:
        details_elsewhere.take_over_customer(row, data.object)
        _go_on_after_trial(row, data)


def _go_on_after_trial(row: Customer, data: EventData) -> None:
    """With a card that the provider's page has made the default, what has paused for want of one goes on."""
    has_new_card = bool(row.default_payment_method) and "invoice_settings" in data.previous
    if has_new_card and row.subscriptions.filter(status=Subscription.Status.PAUSED).exists():
        notify_workers(resume_paused_trials, row.pk)


@handles("customer.tax_id.*")
def handle_tax_id_event(event: WebhookEvent, data: EventData) -> None:
    row = upsert.upsert_tax_id(require_object_id(event))
    if row and row.customer and row.customer.is_linked:
        details_elsewhere.take_over_tax_ids(row.customer)
        details_elsewhere.take_over_customer(row.customer)  # whose name may be the company's, now that it has a tax id


@handles("customer.discount.*")
def handle_discount_event(event: WebhookEvent, data: EventData) -> None:
    """What the customer's subscriptions bring changes with it."""
    if not data.object:  # a thin event
        raise Ignore("The event names its object only, and the provider cannot be asked for it.")
    upsert.upsert_discounts(event.customer_id)


@handles("coupon.*")
def keep_coupon_event(event: WebhookEvent, data: EventData) -> None:
    """Nothing to do: newer discounts name their coupon by its id, and are read with its events."""


@before_transaction("customer.discount.*")
def fetch_unknown_coupon(event: WebhookEvent, data: EventData) -> None:
    """Store the coupon of the discount, if nothing says yet what it takes off in every currency."""
    shown = discount_coupon(data.object)
    coupon_id = stripe_objects.id_of(shown)
    coupon = as_object(shown) or upsert.find_coupon(coupon_id)
    is_unknown = not coupon or (hides_currencies(coupon) and not upsert.find_coupon(coupon_id).get("currency_options"))
    if coupon_id and is_unknown:
        _fetch("coupon", coupon_id)


@handles("customer.subscription.*")
def handle_subscription_event(event: WebhookEvent, data: EventData) -> None:
    row = upsert.upsert_subscription(require_object_id(event))
    if row and not row.customer.is_linked:
        link_by_evidence(row.customer.external_id)
    if row and event.handled_type == "customer.subscription.deleted":
        customer_mails.send_canceled(row)
    is_answer = event.source == WebhookEvent.Source.FETCH  # which would ask for the next one
    if row and row.hides_amounts and not is_answer:
        notify_workers(fetch_subscription, row.external_id)


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


def thin_events(event_ids: Collection[int]) -> set[int]:
    """Of these events, those that only name their object, and that something handles."""
    rows = WebhookEvent.objects.filter(pk__in=event_ids, api_version="", object_type__in=EVENT_TYPES)
    named = [row for row in rows.exclude(object_id="").select_related("payload") if handlers_for(row.type)]
    return {row.pk for row in named if not load_event_data(row).object}


@before_transaction(*(type.replace(".updated", ".*") for type in EVENT_TYPES.values()), when=thin_events)
def fetch_named_object(event: WebhookEvent, data: EventData) -> None:
    """A thin event (API v2) names its object: the provider's answer is stored as another event, which is then handled."""
    try:
        _fetch_named(event.object_type, event.object_id)
    except providers.ProviderRefused as refusal:
        if event.type.endswith(".deleted"):
            raise Ignore("The event names its object only, and it is gone.") from refusal
        raise


def _fetch_named(kind: str, id: str) -> None:
    gateway = providers.current_gateway()
    match kind:
        case "subscription":
            gateway.fetch_subscription(id)
        case "checkout.session":
            gateway.fetch_checkout(id)
        case _:
            gateway.fetch_object(kind, id)


def _fetch(kind: str, id: str) -> None:
    """Store the provider's answer as one more event; without one, what depends on it stays marked."""
    try:
        providers.current_gateway().fetch_object(kind, id)
    except DomainError:
        logger.warning("object_not_fetched", extra={"kind": kind, "object": id})


@handles("customer.subscription.trial_will_end")
def mail_trial_ending(event: WebhookEvent, data: EventData) -> None:
    needs_method = stripe_objects.needs_method_after_trial(data.object)
    customer_mails.send_trial_ending(require_object_id(event), needs_method=needs_method)


@handles("payment_method.*")
def handle_payment_method_event(event: WebhookEvent, data: EventData) -> None:
    upsert.upsert_payment_method(require_object_id(event))


@handles("product.*")
def handle_product_event(event: WebhookEvent, data: EventData) -> None:
    upsert.upsert_product(require_object_id(event))
    _remap_unknown_plans(event)


@handles("price.*")
def handle_price_event(event: WebhookEvent, data: EventData) -> None:
    """The plan repeats what the provider says that its price costs, or that it is sold no longer. ``plan.*`` reports the same
    prices in an older shape, and has no handler."""
    plan = prices.lock_plan_that_sells(require_object_id(event))
    upsert.upsert_price(event.object_id)
    if plan:
        prices.write_headline(plan)
    _remap_unknown_plans(event)


def _remap_unknown_plans(event: WebhookEvent) -> None:
    if Subscription.objects.with_unknown_plan().exists():
        notify_workers(remap_subscriptions, event.object_id)


@handles("checkout.session.*")
def handle_checkout_session_event(event: WebhookEvent, data: EventData) -> None:
    if not upsert.upsert_checkout(require_object_id(event)):
        if timezone.now() - event.received_at < COMMITTED_WITHIN:
            raise Retry("The checkout of this session is not there yet.")
        raise Ignore("The checkout of this session is of another system at the same account.")
    link_by_evidence(event.customer_id)
