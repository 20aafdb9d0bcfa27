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
    "STRIPE_LIVEMODE",
    default=PRODUCTION,
    help="Events of the other mode are stored and ignored. Default in production: `true`.",
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
    help="Retries of a failing event before it is `failed`. Default in production: `10`.",
)
WEBHOOKS_NOTIFY_EMAIL = env.mailbox("WEBHOOKS_NOTIFY_EMAIL", help="Who is told of failed events.")

BILLING_NOTIFY_EMAIL = env.mailbox(
    "BILLING_NOTIFY_EMAIL",
    default=WEBHOOKS_NOTIFY_EMAIL,
    help="Who is told of disputes, refunds, and of who pays and has nothing. Default: WEBHOOKS_NOTIFY_EMAIL.",
)
BILLING_MAILS = env.comma_separated(
    "BILLING_MAILS",
    default=[
        "receipt",
        "renewal_upcoming",
        "payment_failed",
        "payment_action_required",
        "card_expiring",
        "trial_ending",
        "subscription_canceled",
        "payment_refunded",
        "price_change",
    ],
    help="Which mails customers get about payments, by the names of their templates; `none` for none.",
)

BILLING_DISPUTE_ENDS_ACCESS = env.choice(
    "BILLING_DISPUTE_ENDS_ACCESS",
    choices=["never", "lost", "opened"],
    default="never",
    help="When a dispute of its payment takes a subscription's access: `never`, once it is `lost`, or while it is `opened` and once "
    "it is lost. A dispute that is won gives it back.",
)

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
    help="Whether a checkout of the API completes at once at the local provider; those of the pages lead to its own.",
)
BILLING_TRIAL_DAYS = env.integer(
    "BILLING_TRIAL_DAYS",
    default=0,
    minimum=0,
    maximum=730,
    help="How many days a customer's first subscription is free.",
)
BILLING_CURRENCY = env.text(
    "BILLING_CURRENCY", default="usd", help="The currency of `price_monthly`, and of a checkout that names none."
).lower()
BILLING_LOCAL_TAX_PERCENT = env.text(
    "BILLING_LOCAL_TAX_PERCENT",
    default="0",
    help="Tax that the local provider adds to its invoices, such as `19` or `8.1`.",
)
BILLING_AUTOMATIC_TAX = env.boolean(
    "BILLING_AUTOMATIC_TAX",
    default=False,
    help="Whether Stripe computes the tax, and its checkout asks for a billing address and a tax id.",
)
