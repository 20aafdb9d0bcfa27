"""The webhooks service with short time limits and a handler whose effects are counted."""

from saas.settings.webhooks import *

INSTALLED_APPS += ["saas.tests.faults.effects"]
WEBHOOKS_NOTIFY_EMAIL = "ops@example.net"
DATABASES["default"]["OPTIONS"]["options"] = (
    "-c statement_timeout=3000 -c lock_timeout=1000 -c idle_in_transaction_session_timeout=1500"
)
