"""The modules of this service, as ``GET /api/health/module/<name>`` and ``manage.py doctor`` know them."""

from saas.accounts import health as accounts
from saas.operations import health as operations

MODULES = (
    accounts.AUTH_CORE,
    accounts.SESSION,
    accounts.OAUTH,
    accounts.USERS_CORE,
    accounts.USERS_PROFILES,
    operations.RATE_LIMITING,
)
