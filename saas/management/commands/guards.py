from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management import BaseCommand, CommandError, CommandParser

from saas.management.guards.running import GuardsBroken, run_guards
from saas.management.guards.sabotaging import sabotage_all


class Command(BaseCommand):
    help = (
        "Run just the tests that protect tenants, permissions, personal data and the schema. With --sabotage, remove each "
        "tenant filter and each permission of a module in turn, in a copy, and show which test notices. Exit code 1 if "
        "something is wrong."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("module", nargs="?", default="", help="Such as projects or teams; without one, all guards.")
        parser.add_argument("--sabotage", action="store_true", help="Test the guards of the module. Takes minutes.")

    def handle(self, *, module: str, sabotage: bool, **options: Any) -> None:
        root = Path(settings.BASE_DIR)
        known = sorted(app.label for app in apps.get_app_configs() if app.name == f"saas.{app.label}")
        if module and module not in known:
            raise CommandError(f"There is no module {module[:60]!r}: choose one of {', '.join(known)}.")
        if sabotage and not module:
            raise CommandError("Say which module to sabotage, such as `guards teams --sabotage`.")
        try:
            self._sabotage(root, module) if sabotage else self._run(root, module)
        except GuardsBroken as error:
            raise CommandError(str(error)) from error

    def _run(self, root: Path, module: str) -> None:
        findings = run_guards(root, module, own_tests=module in settings.MODULES)
        for sentence in dict.fromkeys(failure.sentence for failure in findings.failures):
            self.stdout.write(f"✗ {sentence}")
        if findings.failures:
            tests = sorted({failure.test.partition("[")[0] for failure in findings.failures})
            raise CommandError("\n  ".join(["These tests say so:", *tests]))
        self.stdout.write(f"✓ {findings.passed} guards of {module or 'all modules'} found nothing wrong.")

    def _sabotage(self, root: Path, module: str) -> None:
        unnoticed = tried = 0
        for outcome in sabotage_all(root, module):
            tried += 1
            unnoticed += not outcome.noticed_by
            self.stdout.write(f"{'✓' if outcome.noticed_by else '✗'} {outcome.sabotage}")
            self.stdout.write(f"    {outcome.noticed_by or 'NO TEST NOTICED'}")
            self.stdout.flush()
        if unnoticed:
            raise CommandError(f"{unnoticed} of {tried} sabotages went unnoticed: write a test that fails for each.")
        self.stdout.write(f"All {tried} sabotages of {module} were noticed.")
