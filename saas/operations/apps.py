from importlib import import_module

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "saas.operations"

    def ready(self) -> None:
        for module in (
            "saas.operations.settings_checks",
            "saas.workers.celery_signals",
        ):  # what they hold registers itself
            import_module(module)
