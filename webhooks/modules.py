"""The modules of this service, as ``GET /api/health/module/<name>`` and ``manage.py doctor`` know them."""

from saas.webhook_events import health

MODULES = (health.SIGNATURES, health.EVENT_LOG, health.PROCESSING)
