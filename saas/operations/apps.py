from importlib import import_module

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class OperationsConfig(AppConfig):
    name = "saas.operations"

    def ready(self) -> None:
        import_module("saas.operations.settings_checks")
        import_module("saas.database.encoding_check")
        import_module("saas.workers.celery_signals")
        autodiscover_modules("retention")  # also of apps that are switched off: their rows get no younger
