"""The admin_ops service."""

from saas.settings.admin_site import *
from saas.settings.base import *

SERVICE = "admin_ops"
# First, because their templates come before Django admin's own. Unfold has no models, so no other service needs it.
INSTALLED_APPS = ["admin_ops", "unfold.apps.BasicAppConfig", *INSTALLED_APPS]
ROOT_URLCONF = "admin_ops.urls"
SESSION_COOKIE_NAME = STAFF_SESSION_COOKIE_NAME
SESSION_COOKIE_DOMAIN = None  # only customers' hosts share a cookie
CSRF_COOKIE_NAME = f"{COOKIE_PREFIX}admin_ops_csrf"
SESSION_COOKIE_SAMESITE = "Strict"
SESSION_COOKIE_AGE = 8 * 3600  # seconds; no staff session lives longer
