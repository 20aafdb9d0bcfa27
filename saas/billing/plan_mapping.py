"""Saying which plan a price of the provider stands for, where nothing that it told does.

For the desk, with ``by`` the member of staff:

    map_price(subscription, plan_id="growth", reason="…", by=sam)  -> Subscription
"""

from django.db import transaction

from saas.accounts.models import User
from saas.audit.actions import record
from saas.billing.models import Plan, Price, Subscription
from saas.billing.sync import event_history, upsert
from saas.billing.sync.projections import subscriptions
from saas.errors import DomainError, Invalid, NotFound


class PlanIsKnown(DomainError):
    code, title = "plan_is_known", "The subscription's price stands for a plan already."  # 409


def map_price(subscription: Subscription, *, plan_id: str, reason: str, by: User, price_id: str = "") -> Subscription:
    """Say for which plan the price of the subscription stands, for everybody who pays it. Of several items ``price_id``
    names the plan's own; the others stay what they are. Raises ``PlanIsKnown``, ``NotFound`` for the plan, ``Invalid``.
    """
    if not subscription.has_unknown_plan:
        raise PlanIsKnown
    plan = Plan.objects.filter(pk=plan_id).first()
    if plan is None:
        raise NotFound("There is no such plan.")
    if not reason.strip():
        raise Invalid(errors={"reason": ["Say why."]})
    _map(_price(subscription, price_id), plan, subscription, reason.strip()[:500], by)
    remap_subscriptions()
    subscription.refresh_from_db()
    return subscription


def _price(subscription: Subscription, price_id: str) -> subscriptions.SubscriptionItem:
    """The item of the subscription that is meant."""
    fold = subscriptions.project_subscription(
        event_history.stored_events(subscription.external_id, "customer.subscription.")
    )
    items = [item for item in fold.state.items if item.price_id] if fold else []
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
    """Look again at every subscription whose plan nobody knew: a price or product may tell it by now. Tells how many
    have theirs."""
    unknown = Subscription.objects.with_unknown_plan()
    ids = list(unknown.order_by("pk").values_list("external_id", flat=True))
    for external_id in ids:
        with transaction.atomic():
            upsert.upsert_subscription(external_id)
    return len(ids) - unknown.filter(external_id__in=ids).count()
