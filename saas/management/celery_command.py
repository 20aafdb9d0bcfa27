"""The base of ``manage.py worker`` and ``manage.py beat``: Celery's own commands, in the right environment and folder."""

import os
import sys
from typing import Any, NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand


class CeleryCommand(BaseCommand):
    """Replaces this process by ``celery -A saas <program>``; all arguments are Celery's own."""

    program = ""

    def run_from_argv(self, argv: list[str]) -> NoReturn:
        self.execute(*argv[2:])

    def execute(self, *arguments: Any, **options: Any) -> NoReturn:
        level = [] if _has_level(arguments) else ["--loglevel=INFO"]
        celery = [sys.executable, "-m", "celery", "-A", "saas", f"--workdir={settings.BASE_DIR}"]
        os.environ["DJANGO_SETTINGS_MODULE"] = "saas.settings.webhooks"
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(settings.BASE_DIR), os.environ.get("PYTHONPATH")]))
        os.execv(sys.executable, [*celery, self.program, *level, *arguments])  # noqa: S606


def _has_level(arguments: tuple[str, ...]) -> bool:
    return any(argument.startswith(("-l", "--loglevel", "--help")) for argument in arguments)
