"""Which of a subscription's items is the plan, and which plan it is: the others are add-ons of the founder's own.

By the item's price; else by its product, where all prices of the product that we know stand for one plan; else by
``metadata.plan_id`` of the price or of the product.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from saas.billing.models import Plan, Price, Product
from saas.billing.sync import provider_rows
from saas.billing.sync.projections.subscriptions import SubscriptionItem


@dataclass(frozen=True)
class PlanItem:
    """The plan's own item, the id of the plan, and our price if that is how it was found."""

    item: SubscriptionItem
    plan_id: str
    price: Price | None = None


def find_plan_item(items: Sequence[SubscriptionItem]) -> PlanItem | None:
    """``None`` where no item can be told to stand for a plan. Of several plans the dearest: it is the one that was bought
    for its access."""
    for way in (_by_price, _by_product, _by_metadata):
        if found := [plan for item in items if (plan := way(item))]:
            return found[0] if len(found) == 1 else _dearest(found)
    return None


def _by_price(item: SubscriptionItem) -> PlanItem | None:
    row = provider_rows.find_price(item.price_id) if item.price_id else None
    return PlanItem(item, row.plan_id, row) if row and row.plan_id else None


def _by_product(item: SubscriptionItem) -> PlanItem | None:
    if not item.product_id:
        return None
    prices = Price.objects.filter(product_id=item.product_id, plan__isnull=False).order_by()
    plans = list(prices.values_list("plan_id", flat=True).distinct()[:2])
    return PlanItem(item, plans[0]) if len(plans) == 1 else None


def _by_metadata(item: SubscriptionItem) -> PlanItem | None:
    for plan_id in _named(item):
        if plan_id and Plan.objects.filter(pk=plan_id).exists():
            return PlanItem(item, plan_id)
    return None


def _named(item: SubscriptionItem) -> Iterator[str]:
    yield item.named_plan_id
    products = Product.objects.filter(external_id=item.product_id) if item.product_id else Product.objects.none()
    yield from products.values_list("named_plan_id", flat=True)


def _dearest(found: Sequence[PlanItem]) -> PlanItem:
    items = {one.plan_id: one for one in found}
    plans = Plan.objects.filter(pk__in=items).order_by("-price_cents", "pk")
    return items[plans[0].pk]


def set_price_product(found: PlanItem) -> None:
    """A price that was put in by hand has no product until a subscription shows it."""
    if found.price and found.item.product_id and not found.price.product_id:
        Price.objects.filter(pk=found.price.pk).update(product_id=found.item.product_id)
