"""The webhooks service."""

from saas.settings.base import *

SERVICE = "webhooks"
INSTALLED_APPS += ["webhooks"]
MIDDLEWARE = ["webhooks.middleware.TooLargeMiddleware", *MIDDLEWARE]
ROOT_URLCONF = "webhooks.urls"
SESSION_COOKIE_NAME = STAFF_SESSION_COOKIE_NAME
SESSION_COOKIE_DOMAIN = None  # only customers' hosts share a cookie
CSRF_COOKIE_NAME = f"{COOKIE_PREFIX}webhooks_csrf"
