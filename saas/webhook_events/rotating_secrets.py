"""The secret under which the provider signs events can be rotated."""

from datetime import timedelta

from django.conf import settings

from saas.operations.rotation.rotating_secrets import RotatingSecret, register

register(
    [
        RotatingSecret(
            "STRIPE_WEBHOOK_SECRET",
            lambda: settings.STRIPE_WEBHOOK_SECRETS,
            needed_for=timedelta(days=1),  # Stripe signs under both for as long, at most
            fallbacks="STRIPE_WEBHOOK_SECRET (after a comma)",
        )
    ]
)
