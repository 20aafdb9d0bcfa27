"""Creating our plans at Stripe: a product and a monthly price for each, found again by their keys."""

from collections.abc import Iterator

from django.db import transaction

from saas.billing.catalogue import set_current_price
from saas.billing.models import Customer, Plan
from saas.billing.providers.stripe.gateway import StripeGateway


def sync_plans(gateway: StripeGateway) -> Iterator[str]:
    """Yields a sentence for each plan. May be repeated: existing products and prices are used, and a plan whose price has
    changed gets a new one. Earlier prices stay valid for their subscriptions.
    """
    for plan in Plan.objects.on_sale():
        price_id, is_new = gateway.ensure_price(plan)
        with transaction.atomic():
            set_current_price(plan, Customer.Provider.STRIPE, price_id)
        yield f"{plan.pk} is sold as {price_id}{', which is new' if is_new else ''}"
