import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "saas.tests.benchmarks.baselines.naive.settings")

app = Celery("naive")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
