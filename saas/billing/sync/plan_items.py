"""Which item of a subscription is the plan, and which plan it is; the other items are add-ons.

By the item's price; else by its product, if all known prices of the product belong to one plan; else by
``metadata.plan_id`` of the price or of the product.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import F

from saas.billing.models import Plan, Price, Product
from saas.billing.sync.projections.subscriptions import SubscriptionItem
from saas.database.prepared_queries import PreparedQuery, QueryParameter, binary_cursor

_PRICES = PreparedQuery(lambda: Price.objects.filter(external_id=QueryParameter("external_id")), cursor=binary_cursor)


@dataclass(frozen=True)
class PlanItem:
    """The item of the plan, the plan's id, and our price if it was found by that."""

    item: SubscriptionItem
    plan_id: str
    price: Price | None = None


def find_plan_item(items: Sequence[SubscriptionItem]) -> PlanItem | None:
    """``None`` if no item is known to be a plan. Of several plans the most expensive."""
    for search in (_by_price, _by_product, _by_metadata):
        if found := [plan for item in items if (plan := search(item))]:
            return found[0] if len(found) == 1 else _most_expensive(found)
    return None


def _by_price(item: SubscriptionItem) -> PlanItem | None:
    row = _PRICES.fetch_first(external_id=item.price_id) if item.price_id else None
    return PlanItem(item, row.plan_id, row) if row and row.plan_id else None


def _by_product(item: SubscriptionItem) -> PlanItem | None:
    if not item.product_id:
        return None
    prices = Price.objects.filter(product_id=item.product_id, plan__isnull=False).order_by()
    plans = list(prices.values_list("plan_id", flat=True).distinct()[:2])
    return PlanItem(item, plans[0]) if len(plans) == 1 else None


def _by_metadata(item: SubscriptionItem) -> PlanItem | None:
    """The price's metadata first; the product is asked only if they name no plan."""
    if item.named_plan_id and Plan.objects.filter(pk=item.named_plan_id).exists():
        return PlanItem(item, item.named_plan_id)
    product = Product.objects.filter(external_id=item.product_id).first() if item.product_id else None
    if product and product.named_plan_id and Plan.objects.filter(pk=product.named_plan_id).exists():
        return PlanItem(item, product.named_plan_id)
    return None


def _most_expensive(found: Sequence[PlanItem]) -> PlanItem:
    items = {one.plan_id: one for one in found}
    plans = Plan.objects.filter(pk__in=items).order_by(F("price_cents").desc(nulls_last=True), "pk")
    return items[plans[0].pk]


def set_price_product(found: PlanItem) -> None:
    """Store the product of a price that staff or the settings have put in: only a subscription shows it."""
    if found.price and found.item.product_id and not found.price.product_id:
        Price.objects.filter(pk=found.price.pk).update(product_id=found.item.product_id)
