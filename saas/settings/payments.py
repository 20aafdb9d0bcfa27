"""Webhook events and billing."""

from saas import env
from saas.settings.environment import PRODUCTION

BILLING = env.boolean(
    "BILLING",
    default=True,
    help="`off` takes plans, checkouts and everything about money away; everybody has the free plan's limits.",
)
INACTIVE_APPS = [] if BILLING else ["saas.billing"]  # installed for their tables only (saas.operations.app_discovery)
STRIPE_WEBHOOK_SECRETS = env.comma_separated(
    "STRIPE_WEBHOOK_SECRET",
    default=[] if PRODUCTION else ["whsec_test_local"],
    help="Signing secrets of the endpoint, current first (commas between, for rotation).",
)
STRIPE_LIVEMODE = env.boolean(
    "STRIPE_LIVEMODE", default=PRODUCTION, help="Events of the other mode are stored and ignored."
)
WEBHOOKS_ALLOW_UNSIGNED = env.boolean(
    "WEBHOOKS_ALLOW_UNSIGNED", default=not PRODUCTION, help="Accept events without a signature. Development only."
)
WEBHOOKS_OPEN_OPERATOR_API = env.boolean(
    "WEBHOOKS_OPEN_OPERATOR_API",
    default=not PRODUCTION,
    help="Logs and replay without a staff token, from loopback. Development only.",
)
WEBHOOKS_MAX_RETRIES = env.integer(
    "WEBHOOKS_MAX_RETRIES",
    default=10 if PRODUCTION else 3,
    maximum=50,
    help="Retries of a failing event before it is `failed`.",
)
WEBHOOKS_NOTIFY_EMAIL = env.text("WEBHOOKS_NOTIFY_EMAIL", help="Who is told of failed events.")

STRIPE_SECRET_KEY = env.text(
    "STRIPE_SECRET_KEY", help="Set to bill through Stripe. Empty: the local provider, in development only."
)
STRIPE_PRICES = env.comma_separated(
    "STRIPE_PRICES", help="Which Stripe price sells which plan: `starter:price_1,growth:price_2,scale:price_3`."
)
STRIPE_API_BASE = env.text("STRIPE_API_BASE", help="Another address for Stripe's API, for a local stand-in.")
# Loaded by its name (saas.billing.providers), so that production never imports the development provider.
BILLING_GATEWAY = (
    "saas.billing.providers.stripe.gateway.StripeGateway"
    if STRIPE_SECRET_KEY
    else "saas.billing.providers.local.gateway.LocalGateway"
)
USES_LOCAL_PROVIDER = BILLING and not STRIPE_SECRET_KEY
BILLING_LOCAL_CHECKOUT = env.choice(
    "BILLING_LOCAL_CHECKOUT",
    choices=["instant", "hosted"],
    default="instant",
    help="Whether the local provider's checkout completes at once.",
)
BILLING_TRIAL_DAYS = env.integer(
    "BILLING_TRIAL_DAYS",
    default=0,
    minimum=0,
    maximum=730,
    help="How many days a customer's first subscription is free.",
)
