"""The product service's data behind plain Django views and the middleware of ``startproject``."""

from saas.settings.product import *
from saas.tests.benchmarks.baselines.startproject import MIDDLEWARE as MIDDLEWARE

ROOT_URLCONF = "saas.tests.benchmarks.baselines.plain_urls"
