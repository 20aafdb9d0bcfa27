"""The parity service."""

from saas.settings.base import *

SERVICE = "parity"
INSTALLED_APPS += ["parity"]
ROOT_URLCONF = "parity.urls"
SESSION_COOKIE_NAME = CUSTOMER_SESSION_COOKIE_NAME
CSRF_COOKIE_NAME = "parity_csrf"
