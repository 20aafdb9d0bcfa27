import os

from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "saas.tests.benchmarks.baselines.naive.settings"

import saas.tests.benchmarks.baselines.naive.celery  # noqa: F401

application = get_wsgi_application()
