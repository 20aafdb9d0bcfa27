"""The active apps. An app in ``INACTIVE_APPS`` keeps its tables, so that every process agrees on the database, and registers
no tasks, webhook handlers or invariants."""

from importlib import import_module

from django.apps import apps
from django.conf import settings
from django.utils.module_loading import module_has_submodule


def active_apps() -> list[str]:
    return [app.name for app in apps.get_app_configs() if app.name not in settings.INACTIVE_APPS]


def autodiscover(module: str) -> None:
    """Import ``module`` of every active app that has one, so that its registrations run."""
    for name in active_apps():
        if module_has_submodule(import_module(name), module):
            import_module(f"{name}.{module}")
