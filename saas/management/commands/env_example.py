from typing import Any

from django.conf import settings
from django.core.management import BaseCommand

from saas import env

HEAD = """\
# Every setting that the system reads, with its default. Copy this file to .env and change what should differ.
# A secret may come from a file instead: SECRET_KEY_FILE=/run/secrets/secret_key.
# Written by `python3 manage.py env_example > .env.example`.
"""


class Command(BaseCommand):
    help = "Writes .env.example as the settings declare it. Run it where nothing is set: a default may follow another."
    requires_system_checks = ()

    def handle(self, **options: Any) -> None:
        self.stdout.write("\n".join([HEAD, *(_entry(setting) for setting in env.declared_settings())]), ending="")


def _entry(setting: env.Setting) -> str:
    default = setting.default.removeprefix(f"{settings.BASE_DIR}/")
    shown = f'"{default}"' if " " in default else default
    return f"# {setting.help}\n# {setting.name}={shown}\n"
