import sys
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandParser

from saas.api.openapi import schema_files
from saas.api.openapi.breaking_changes import find_breaking_changes


class Command(BaseCommand):
    help = (
        "Compare the OpenAPI documents that the services generate with those in saas/docs/openapi; exit code 1 if they differ. "
        "With --write, write them and list breaking changes for the changelog."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--write", action="store_true", help="Write the files.")

    def handle(self, *, write: bool, **options: Any) -> None:
        documents = {name: schema_files.generate_document(name) for name in settings.SERVICE_PORTS}
        changed = [name for name, document in documents.items() if not schema_files.is_written(name, document)]
        breaks: list[str] = []
        for name in changed:
            if write:
                breaks += schema_files.write_document(name, documents[name])
            else:
                found = find_breaking_changes(schema_files.read_document(name), documents[name])
                breaks += [f"{name} {sentence}" for sentence in found]
        self.stdout.write(f"Changed: {', '.join(changed) or 'none'}.")
        if breaks:
            self.stdout.write(
                "\n".join(["These break clients. Tell them in saas/docs/changelog.md, in these words:", *breaks])
            )
        if changed and not write:
            sys.exit(1)
