from importlib import import_module

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "saas.operations"

    def ready(self) -> None:
        import_module("saas.operations.settings_checks")
        import_module("saas.workers.celery_signals")
