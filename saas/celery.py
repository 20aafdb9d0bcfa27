"""The Celery application. ``celery -A saas worker`` works as typed.

``saas/__init__.py`` must not import this module: any first import of ``saas`` would choose the settings named below.
``SaasConfig.ready`` imports it, when the settings are loaded (decision 2).
"""

import gc
import os
import sys
from pathlib import Path

from celery import Celery
from celery.signals import worker_before_create_process

from saas.operations.app_discovery import active_apps
from saas.operations.multiprocess_metrics.folders import share_metrics_of_worker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "saas.settings.webhooks")
if Path(sys.argv[0]).name == "celery" or sys.argv[0].endswith("celery/__main__.py"):
    os.environ.setdefault("SAAS_PROCESS", "worker")
    # Before prometheus_client is imported: all processes of a worker write where its metrics port can read them.
    share_metrics_of_worker()

app = Celery("saas", task_cls="saas.background_tasks:ContextTask")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(active_apps)


@worker_before_create_process.connect
def freeze_before_fork(**_: object) -> None:
    """Keep loaded memory shared with forked children: a garbage collection would touch, and so copy, every page."""
    gc.freeze()
