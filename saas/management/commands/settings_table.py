from typing import Any

from django.conf import settings
from django.core.management import BaseCommand

from saas import env

HEAD = "| variable | default | what it is |\n|---|---|---|"


class Command(BaseCommand):
    help = "Prints the README's table of settings. Run it where nothing is set: a default may follow another."
    requires_system_checks = ()

    def handle(self, **options: Any) -> None:
        self.stdout.write("\n".join([HEAD, *(_row(setting) for setting in env.declared_settings())]))


def _row(setting: env.Setting) -> str:
    default = setting.default.removeprefix(f"{settings.BASE_DIR}/")
    shown = f"`{default}`" if default else ""
    return f"| `{setting.name}` | {shown} | {setting.help} |".replace("|  |", "| |")
