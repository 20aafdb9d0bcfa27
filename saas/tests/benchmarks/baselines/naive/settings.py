import os

import dj_database_url

from saas.tests.benchmarks.baselines.startproject import MIDDLEWARE as MIDDLEWARE

SECRET_KEY = "benchmark"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "rest_framework",
    "saas.tests.benchmarks.baselines.naive",
]
ROOT_URLCONF = "saas.tests.benchmarks.baselines.naive.urls"
DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"], conn_max_age=60)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
CELERY_BROKER_URL = os.environ.get("REDIS_URL", "memory://")
CELERY_TASK_DEFAULT_QUEUE = "naive"
