from typing import Any

from django.conf import settings
from django.core.management import BaseCommand

from saas import env

HEAD = "| variable | default | what it is |\n|---|---|---|"


class Command(BaseCommand):
    help = (
        "Print the README's table of settings. Run it with an empty environment: defaults may depend on other settings."
    )
    requires_system_checks = ()

    def handle(self, **options: Any) -> None:
        self.stdout.write(HEAD)
        for setting in env.declared_settings():
            default = setting.default.removeprefix(f"{settings.BASE_DIR}/")
            shown = f"`{default}`" if default else ""
            self.stdout.write(f"| `{setting.name}` | {shown} | {setting.help} |".replace("|  |", "| |"))
