"""Creating our plans at Stripe: a product and its prices for each, found again by their keys."""

from collections.abc import Iterator

from saas.billing.catalogue.prices import find_or_create_at_provider, is_anothers
from saas.billing.catalogue.seeding import adopt_local_prices
from saas.billing.models import Customer, Plan, Price, PriceTerms
from saas.billing.providers.stripe.gateway import StripeGateway


def sync_plans(gateway: StripeGateway) -> Iterator[str]:
    """Yields a sentence for each price. May be repeated: existing products and prices are used, and a plan whose price has
    changed gets a new one. Earlier prices stay valid for their subscriptions.
    """
    for plan in Plan.objects.on_sale():
        adopt_local_prices(plan)
        prices = Price.objects.selling(plan, Customer.Provider.STRIPE).filter(unit_amount_cents__isnull=False)
        for price in prices.order_by("currency", "interval"):
            yield _sync_price(gateway, plan, price)


def _sync_price(gateway: StripeGateway, plan: Plan, price: Price) -> str:
    """A price whose id was given by hand stays, unless there is one of ours."""
    terms, is_new = PriceTerms.of(price), False
    found = gateway.find_price(plan, terms)
    external_id = found if found and not is_anothers(found, price) else price.external_id
    if external_id is None:
        external_id, is_new = find_or_create_at_provider(price, plan, gateway)
    Price.objects.filter(pk=price.pk).update(external_id=external_id)
    return f"{plan.pk} is sold as {external_id}{', which is new' if is_new else ''}"
