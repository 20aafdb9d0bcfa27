"""Prometheus metrics of Celery tasks: count by final state, and duration.

A worker serves them on a port of its own (``WORKER_METRICS_PORT``).
"""

import os
import time
from typing import Any

from celery.signals import task_postrun, task_prerun, worker_ready
from django.conf import settings
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

TASKS = Counter("celery_tasks", "Tasks run, by how they ended.", ["task", "state"])
DURATION = Histogram("celery_task_seconds", "Time that tasks took.", ["task"])


@task_prerun.connect
def record_task_start(task: Any = None, **_: object) -> None:
    task.request.saas_started = time.perf_counter()


@task_postrun.connect
def record_task_end(task: Any = None, state: str = "", **_: object) -> None:
    TASKS.labels(task.name, (state or "unknown").lower()).inc()
    if (started := getattr(task.request, "saas_started", None)) is not None:
        DURATION.labels(task.name).observe(time.perf_counter() - started)


@worker_ready.connect
def serve_metrics(**_: object) -> None:
    if settings.WORKER_METRICS_PORT:
        registry = REGISTRY
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # the worker has several processes
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        start_http_server(settings.WORKER_METRICS_PORT, registry=registry)
