from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import connection

from saas.management.modules.names import ModuleRefused
from saas.management.modules.writing import plan_removal, remove


class Command(BaseCommand):
    help = (
        "Take a module out again that add_module wrote, and print the SQL that drops its tables. Touches no database."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--force", action="store_true", help="Even if it was changed since, or is used elsewhere.")

    def handle(self, *, name: str, force: bool, **options: Any) -> None:
        root = Path(settings.BASE_DIR)
        try:
            removal = plan_removal(root, name, force=force)
        except ModuleRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        statements = list(_sql(name))
        remove(root, removal)
        self.stderr.write(f"Took {name} out. This SQL drops its tables, once no process runs that knows them:")
        self.stdout.write("\n".join(statements))


def _sql(module: str) -> Iterator[str]:
    """Drop the module's tables and what Django noted about them."""
    quote, cascade = connection.ops.quote_name, " CASCADE" if connection.vendor == "postgresql" else ""
    models = list(apps.get_app_config(module).get_models(include_auto_created=True))
    for model in reversed(models):
        yield f"DROP TABLE {quote(model._meta.db_table)}{cascade};"
    types = f"SELECT id FROM django_content_type WHERE app_label = '{module}'"  # noqa: S608 (an identifier)
    yield f"DELETE FROM auth_permission WHERE content_type_id IN ({types});"  # noqa: S608
    yield f"DELETE FROM django_content_type WHERE app_label = '{module}';"  # noqa: S608
    yield f"DELETE FROM django_migrations WHERE app = '{module}';"  # noqa: S608
