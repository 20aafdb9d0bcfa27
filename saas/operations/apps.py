from typing import Any

from celery.signals import worker_ready
from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "saas.operations"

    def ready(self) -> None:
        from saas.operations import settings_checks  # noqa: F401  (registers the check)

        worker_ready.connect(_note_worker, dispatch_uid="saas.operations.worker")


def _note_worker(**signal: Any) -> None:
    """A worker that has just started is seen at once, and not only when beat sends its first sweep."""
    from saas.operations.actions import beat

    beat("worker")
