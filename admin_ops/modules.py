"""The modules of this service, as ``GET /api/health/module/<name>`` and ``manage.py doctor`` know them."""

from saas.accounts import health as accounts
from saas.operations.health import SETTINGS

MODULES = (accounts.AUTH_CORE, accounts.SESSION, accounts.USERS_CORE, SETTINGS)
