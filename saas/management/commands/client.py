import shutil
import subprocess
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from saas.api.openapi import schema_files
from saas.management.terminal import waiting

TEMPLATE = Path(__file__).resolve().parents[1] / "typescript_client"
OLDEST_NODE = 20
INSTALL_SECONDS = 600
NPM_INSTALL = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"]


class Command(BaseCommand):
    help = (
        "Write a typed client package of the Product API into a folder. Types are made by openapi-typescript, which comes from "
        "npm's registry. Run it again after a change of the API: only src/schema.ts changes. See saas/docs/clients.md."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("language", choices=["typescript"])
        parser.add_argument("folder", type=Path, help="A new or empty folder, or one that this command has filled.")

    def handle(self, *, language: str, folder: Path, **options: Any) -> None:
        _require_node()
        _require_ours(folder)
        written = _copy_template(folder)
        with waiting(self.stdout, "Installing openapi-typescript and openapi-fetch …"):
            _run(NPM_INSTALL, folder, "npm's registry cannot be reached, from which openapi-typescript comes")
        document = schema_files.document_path("product").resolve()
        generator = folder.resolve() / "node_modules" / ".bin" / "openapi-typescript"
        with waiting(self.stdout, "Making the types …"):
            _run([str(generator), str(document), "-o", "src/schema.ts"], folder, "The types could not be made")
        kept = "" if written else " (your src/client.ts and settings are kept)"
        self.stdout.write(f"The client is in {folder}{kept}. Build it: npm --prefix {folder} run build")


def _require_node() -> None:
    needs = f"This needs Node {OLDEST_NODE} or newer and npm, which fetches openapi-typescript from its registry"
    if not shutil.which("node") or not shutil.which("npm"):
        raise CommandError(f"{needs}: install them and start again.")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()  # noqa: S607
    if not version.startswith("v") or int(version[1:].partition(".")[0]) < OLDEST_NODE:
        raise CommandError(f"{needs}; this is Node {version or 'of an unknown version'}.")


def _require_ours(folder: Path) -> None:
    """Refuse a folder that holds something else: nothing in it may be lost."""
    if folder.exists() and not folder.is_dir():
        raise CommandError(f"{folder} is no folder.")
    if folder.exists() and any(folder.iterdir()) and not (folder / "src" / "client.ts").exists():
        raise CommandError(f"{folder} is not empty and holds no client of this command: name another folder.")


def _copy_template(folder: Path) -> list[Path]:
    """Copy what is not there yet: an adopter may have changed the rest. Return the new files."""
    new = []
    for source in sorted(path for path in TEMPLATE.rglob("*") if path.is_file()):
        target = folder / source.relative_to(TEMPLATE)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            new.append(target)
    return new


def _run(command: list[str], folder: Path, fault: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603
            command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandError(f"{fault}: {error}.") from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise CommandError(f"{fault}: {lines[0] if lines else f'code {done.returncode}'}.")
