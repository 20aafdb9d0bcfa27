"""Mapping a price of the provider to a plan, where its events do not say which plan it is.

For Admin ops, with ``by`` the member of staff:

    map_price(subscription, plan_id="growth", reason="…", by=sam)  -> Subscription
"""

from django.db import transaction

from saas.accounts.models import User
from saas.audit.actions import record, require_reason
from saas.billing.models import Plan, Price, Subscription
from saas.billing.sync import event_history, upsert
from saas.billing.sync.projections import subscriptions
from saas.errors import DomainError, Invalid, NotFound


class PlanIsKnown(DomainError):
    code, title = "plan_is_known", "The subscription's price stands for a plan already."  # 409


def map_price(subscription: Subscription, *, plan_id: str, reason: str, by: User, price_id: str = "") -> Subscription:
    """Map the price of the subscription to a plan, for every subscription with that price. Where it has several items,
    ``price_id`` names the plan's. Raises ``PlanIsKnown``, ``NotFound`` for the plan, ``Invalid``.
    """
    if not subscription.has_unknown_plan:
        raise PlanIsKnown
    plan = Plan.objects.filter(pk=plan_id).first()
    if plan is None:
        raise NotFound("There is no such plan.")
    why = require_reason(reason)
    _map(_chosen_item(subscription, price_id), plan, subscription, why, by)
    remap_subscriptions()
    subscription.refresh_from_db()
    return subscription


def _chosen_item(subscription: Subscription, price_id: str) -> subscriptions.SubscriptionItem:
    """The item of the subscription with that price, or its only one. Raises ``Invalid``."""
    projection = subscriptions.project_subscription(
        event_history.stored_events(subscription.external_id, "customer.subscription.")
    )
    items = [item for item in projection.state.items if item.price_id] if projection else []
    chosen = [item for item in items if item.price_id == price_id] if price_id else items
    if len({item.price_id for item in chosen}) != 1:
        known = ", ".join(sorted({item.price_id for item in items})) or "none"
        raise Invalid(errors={"price_id": [f"Choose one of the subscription's prices: {known}."]})
    return chosen[0]


@transaction.atomic
def _map(item: subscriptions.SubscriptionItem, plan: Plan, subscription: Subscription, reason: str, by: User) -> None:
    values = {"plan": plan, "product_id": item.product_id}
    first = {**values, "provider": subscription.customer.provider}
    Price.objects.update_or_create(external_id=item.price_id, defaults=values, create_defaults=first)
    record("price.mapped", actor=by.pk, target=subscription.pk, reason=reason, price=item.price_id, plan=plan.pk)


def remap_subscriptions() -> int:
    """Project every subscription with an unknown plan again: a price or product may name it now. Returns how many plans
    were found."""
    unknown = Subscription.objects.with_unknown_plan()
    ids = list(unknown.order_by("pk").values_list("external_id", flat=True))
    for external_id in ids:
        with transaction.atomic():
            upsert.upsert_subscription(external_id)
    return len(ids) - unknown.filter(external_id__in=ids).count()
