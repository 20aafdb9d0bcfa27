"""The webhooks service with short time limits and a handler whose effects are counted."""

from saas.database.postgres import connection_class_with_timeout
from saas.settings.webhooks import *

INSTALLED_APPS += ["saas.tests.faults.effects"]
WEBHOOKS_NOTIFY_EMAIL = "ops@example.net"
DATABASES["default"]["OPTIONS"]["options"] = (
    "-c statement_timeout=3000 -c lock_timeout=1000 -c idle_in_transaction_session_timeout=1500"
)
# A worker's limit, a second longer than the server's: the fork server does not know that its children are workers.
DATABASES["default"]["OPTIONS"]["pool"]["connection_class"] = connection_class_with_timeout(4.0)
CELERY_BEAT_SCHEDULE["sweep webhook events"]["schedule"] = 1.0
