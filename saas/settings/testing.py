"""All four services in one process, for pytest. ``saas.testing`` switches between their URL confs and cookies."""

import atexit
import os
import shutil
import tempfile

os.environ.setdefault("SAAS_ENV", "test")
if "SAAS_VAR_DIR" not in os.environ:
    os.environ["SAAS_VAR_DIR"] = tempfile.mkdtemp(prefix="saas-tests-")
    atexit.register(shutil.rmtree, os.environ["SAAS_VAR_DIR"], ignore_errors=True)
os.environ.setdefault("RATE_LIMIT_SCALE", "100")

from saas.settings.admin_site import *
from saas.settings.base import *

SERVICE = "product"
INSTALLED_APPS = ["admin_ops", "unfold.apps.BasicAppConfig", *INSTALLED_APPS, "product", "parity", "webhooks"]
MIDDLEWARE = ["webhooks.middleware.TooLargeMiddleware", *MIDDLEWARE]
ROOT_URLCONF = "product.urls"
SESSION_COOKIE_NAME = CUSTOMER_SESSION_COOKIE_NAME
CSRF_COOKIE_NAME = "product_csrf"

ALLOWED_HOSTS = [*LOOPBACK_HOSTS, "testserver"]
PASSWORD_ITERATIONS = 1000  # fast; production refuses it
READINESS_IN_BACKGROUND = False  # other threads do not see a test's transaction
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
DATABASES["default"].get("OPTIONS", {}).pop("pool", None)  # a held connection prevents dropping the test database
if DATABASE_URL:  # a test is one long transaction; concurrency tests wait for locks
    DATABASES["default"]["OPTIONS"]["options"] += " -c idle_in_transaction_session_timeout=120000 -c lock_timeout=10000"
WHITENOISE_AUTOREFRESH = True  # find static files on request: scanning all costs each client 20 ms
CELERY_BROKER_URL = "memory://"
CELERY_BROKER_TRANSPORT_OPTIONS = {}
LOGGING["root"][
    "handlers"
] = []  # pytest shows the lines of a failed test, and saas.testing.secret_leak_detector reads all
