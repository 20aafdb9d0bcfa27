from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, CommandParser

from saas.management.modules.names import ModuleRefused, module_names
from saas.management.modules.writing import Addition, add, plan_addition


class Command(BaseCommand):
    help = (
        "Write a new module of the product, ready to be changed: tables, actions, API, Django admin, tests. "
        "remove_module takes it out again; saas/docs/first-feature.md goes on from here."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="A plural in lower case, such as projects or support_tickets.")
        parser.add_argument("--owned-by", choices=["team", "user"], required=True, help="Whose the objects are.")
        parser.add_argument("--singular", default="", help="One of them, where it does not follow from the name.")
        parser.add_argument("--dry-run", action="store_true", help="Show what would be written; -v 2 with its text.")

    def handle(self, *, name: str, owned_by: str, singular: str, dry_run: bool, verbosity: int, **options: Any) -> None:
        if owned_by == "team" and not settings.TEAMS:
            raise CommandError("TEAMS is off, so no team can own it: turn TEAMS on, or use --owned-by user.")
        root = Path(settings.BASE_DIR)
        try:
            addition = plan_addition(root, module_names(name, singular), owned_by)
        except ModuleRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        self._show(addition, with_text=dry_run and verbosity > 1)
        if dry_run:
            self.stdout.write("Nothing was written.")
            return
        add(root, addition)
        self.stdout.write(
            f"Wrote {name}. Next: `python3 manage.py migrate`, `python3 manage.py guards {name}`, "
            f"and change what you like, first in saas/{name}/models.py."
        )

    def _show(self, addition: Addition, *, with_text: bool) -> None:
        for path, text in addition.files.items():
            self.stdout.write(f"new      {path} ({len(text.splitlines())} lines)")
            if with_text:
                self.stdout.write(text)
        for one in addition.insertions:
            added = "\n".join(f"         + {line}" for line in one.text.splitlines() if line)
            self.stdout.write(f"changed  {one.path}\n{added}")
        self.stdout.write("changed  saas/docs/openapi")
