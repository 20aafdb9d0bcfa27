"""The modules of this service, as ``GET /api/health/module/<name>`` and ``manage.py doctor`` know them."""

from django.conf import settings

from saas.accounts import health as accounts
from saas.operations import health as operations

MODULES = (
    accounts.AUTH_CORE,
    accounts.SESSION,
    *((accounts.OAUTH,) if settings.OAUTH else ()),
    accounts.USERS_CORE,
    accounts.USERS_PROFILES,
    operations.RATE_LIMITING,
)
