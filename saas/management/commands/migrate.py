from typing import Any

from django.core.management.commands.migrate import Command as MigrateCommand

from saas.database.migration_lock import migration_lock


class Command(MigrateCommand):
    def handle(self, *args: Any, **options: Any) -> None:
        if options["plan"] or options["check_unapplied"]:
            super().handle(*args, **options)
            return
        with migration_lock(options["database"], self.stderr.write):
            super().handle(*args, **options)
