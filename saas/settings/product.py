"""The product service."""

from saas.settings.base import *

SERVICE = "product"
INSTALLED_APPS += ["product"]
ROOT_URLCONF = "product.urls"
SESSION_COOKIE_NAME = CUSTOMER_SESSION_COOKIE_NAME
CSRF_COOKIE_NAME = f"{COOKIE_PREFIX}product_csrf"
READINESS_CHECKS = {"catalogue": "saas.billing.catalogue.offers.require_prices"} if BILLING else {}
