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
    help = "Print .env.example. Run it with an empty environment: defaults may depend on other settings."
    requires_system_checks = ()

    def handle(self, **options: Any) -> None:
        entries = [HEAD]
        for setting in env.declared_settings():
            default = setting.default.removeprefix(f"{settings.BASE_DIR}/")
            shown = f'"{default}"' if " " in default else default
            entries.append(f"# {setting.help}\n# {setting.name}={shown}\n")
        self.stdout.write("\n".join(entries), ending="")
