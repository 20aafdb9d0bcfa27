"""The active apps, and the files of added modules.

An app in ``INACTIVE_APPS`` keeps its tables, so that every process agrees on the database, and registers no tasks, webhook
handlers or invariants.
"""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

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


def added_module_files(package: str, file: str) -> Iterator[ModuleType]:
    """Import ``package.<module>.file`` of each module of the ``MODULES`` setting that has it: ``("product", "urls")``.

    A module that teams own is off where teams are: only its tables stay.
    """
    for module in settings.MODULES:
        if not settings.TEAMS and getattr(apps.get_app_config(module), "owned_by", "") == "team":
            continue
        name = f"{package}.{module}"
        if find_spec(name) and module_has_submodule(import_module(name), file):
            yield import_module(f"{name}.{file}")
