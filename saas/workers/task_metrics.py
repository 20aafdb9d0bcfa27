"""Prometheus metrics of Celery tasks: count by final state, and duration.

A worker serves them on a port of its own (``WORKER_METRICS_PORT``).
"""

import socket
import time
from collections.abc import Iterator
from typing import Any

from celery.signals import task_postrun, task_prerun, worker_process_init, worker_ready
from django.conf import settings
from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.metrics_core import Metric

from saas.operations.multiprocess_metrics.reading import shared_registry, sweep_ended_processes

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


class _AllProcesses(CollectorRegistry):
    """The metrics of all processes of this worker, found anew at each request."""

    def collect(self) -> Iterator[Metric]:
        yield from shared_registry().collect()


@worker_process_init.connect
def sweep_files(**_: object) -> None:
    """If metrics are never read, a child that replaces another sweeps."""
    sweep_ended_processes()


@worker_ready.connect
def serve_metrics(**_: object) -> None:
    if settings.WORKER_METRICS_PORT:
        start_http_server(settings.WORKER_METRICS_PORT, _every_interface(), registry=_AllProcesses())


def _every_interface() -> str:
    """The IPv6 address that accepts IPv4, too; IPv4's where this machine has no IPv6 or keeps the two apart."""
    if socket.has_dualstack_ipv6():
        with socket.socket(socket.AF_INET6) as new:
            if not new.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
                return "::"
    return "0.0.0.0"  # noqa: S104
