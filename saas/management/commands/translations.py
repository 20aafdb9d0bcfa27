"""``manage.py translations``: bring the catalogues of pages and mails up to date, and compile them."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from saas.localization.catalogs import find_catalog_faults, write_catalogs


class Command(BaseCommand):
    help = "Collect what is to be translated into saas/locale and product/locale, and compile it."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="Change nothing; fail if anything is missing.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["check"]:
            write_catalogs()
        faults = find_catalog_faults()
        for fault in faults:
            self.stdout.write(fault)
        if faults and options["check"]:
            raise CommandError(f"{len(faults)} translations are not right.")
