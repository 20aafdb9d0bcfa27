"""The parity service."""

from django.core.exceptions import ImproperlyConfigured

from saas.settings.base import *

if not PARITY:
    raise ImproperlyConfigured("PARITY is off: this service is not run.")

SERVICE = "parity"
INSTALLED_APPS += ["parity"]
ROOT_URLCONF = "parity.urls"
SESSION_COOKIE_NAME = CUSTOMER_SESSION_COOKIE_NAME
CSRF_COOKIE_NAME = f"{COOKIE_PREFIX}parity_csrf"
