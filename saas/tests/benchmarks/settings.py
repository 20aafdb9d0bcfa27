"""The webhooks service with the benchmark's handler."""

from saas.settings.webhooks import *

INSTALLED_APPS += ["saas.tests.benchmarks.effects"]
CELERY_TASK_DEFAULT_QUEUE = "bench"  # not the queue of whatever else uses this Redis
