"""``manage.py stripe_sync_plans``: create a product and a price at Stripe for each plan, and sell by those."""

from typing import Any

from django.core.management.base import CommandError

from saas.billing import providers
from saas.billing.providers.stripe.catalogue_sync import sync_plans
from saas.billing.providers.stripe.gateway import StripeGateway
from saas.errors import DomainError
from saas.management.billing import BillingCommand


class Command(BillingCommand):
    help = "Create a product and a price at Stripe for each plan on sale. May be repeated."

    def handle(self, *args: Any, **options: Any) -> None:
        provider = providers.current_gateway()
        if not isinstance(provider, StripeGateway):
            raise CommandError("STRIPE_SECRET_KEY is not set: the local provider has its prices already.")
        try:
            for sentence in sync_plans(provider):
                self.stdout.write(sentence)
        except DomainError as error:
            raise CommandError(error.detail) from error
