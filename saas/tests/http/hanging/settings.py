"""Those of the webhooks service, and one address more."""

from saas.settings.webhooks import *

ROOT_URLCONF = "saas.tests.http.hanging.urls"
