"""The webhooks service."""

from saas.settings.base import *

SERVICE = "webhooks"
INSTALLED_APPS += ["webhooks"]
MIDDLEWARE = ["webhooks.middleware.TooLargeMiddleware", *MIDDLEWARE]
ROOT_URLCONF = "webhooks.urls"
SESSION_COOKIE_NAME = "saas_admin_session"
CSRF_COOKIE_NAME = "webhooks_csrf"
