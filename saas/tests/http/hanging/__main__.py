from saas.server import serve, watchdog
from saas.tests.http.hanging import SECONDS

watchdog.HANG_TIMEOUT_SECONDS = SECONDS
serve.main(["webhooks", "--settings", "saas.tests.http.hanging.settings"])
