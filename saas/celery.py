"""The Celery application. ``celery -A saas worker`` works as typed.

``saas/__init__.py`` must not import this module: whoever imports ``saas`` first would become the service named below.
``SaasConfig.ready`` does it, when the settings are known (decision 2).
"""

import gc
import os
import sys
from pathlib import Path
from tempfile import mkdtemp

from celery import Celery
from celery.signals import worker_before_create_process

from saas.operations.app_discovery import active_apps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "saas.settings.webhooks")
if Path(sys.argv[0]).name == "celery" or sys.argv[0].endswith("celery/__main__.py"):
    os.environ.setdefault("SAAS_PROCESS", "worker")
    # Before anybody imports prometheus_client: a worker's processes write where its port can read all of them.
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = mkdtemp(prefix="saas-metrics-")

app = Celery("saas", task_cls="saas.background_tasks:ContextTask")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(active_apps)


@worker_before_create_process.connect
def freeze_before_fork(**_: object) -> None:
    """What the parent has loaded stays shared with its children: a collection would touch, and so copy, every page."""
    gc.freeze()
