"""The settings of the webhooks service, with one more URL."""

from saas.settings.webhooks import *

ROOT_URLCONF = "saas.tests.http.hanging.urls"
