"""A copy of the working tree, for tests that change code, and running ``manage.py`` in it."""

import os
import subprocess
import sys
from pathlib import Path

from saas.management.tree_copies import copy_of_tree

__all__ = ["MODULES", "add_modules", "copy_of_tree", "manage", "run", "snapshot"]
MODULES = {"projects": "team", "support_tickets": "user"}  # and who owns their rows
TIMEOUT_SECONDS = 3000


def run(tree: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program in the tree, on the embedded engines unless ``environment`` says otherwise."""
    away = {"DJANGO_SETTINGS_MODULE", "DATABASE_URL", "REDIS_URL", "SAAS_ENV"}
    inherited = {name: value for name, value in os.environ.items() if name not in away}
    return subprocess.run(
        [sys.executable, *command],
        cwd=tree,
        env={**inherited, "SAAS_VAR_DIR": f"{tree}-var", "NO_COLOR": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )


def manage(tree: Path, *arguments: str, **environment: str) -> str:
    """Run a command that has to succeed, and return what it says."""
    done = run(tree, "manage.py", *arguments, **environment)
    assert done.returncode == 0, done.stdout
    return done.stdout


def snapshot(tree: Path) -> dict[str, bytes]:
    """The contents of every file, by path; what Python and tools keep for themselves aside."""
    paths = [path for path in tree.rglob("*") if path.is_file()]
    kept = [path for path in paths if not {"__pycache__", ".ruff_cache", ".mypy_cache"} & set(path.parts)]
    return {str(path.relative_to(tree)): path.read_bytes() for path in kept}


def add_modules(tree: Path) -> None:
    """Add one module of a team and one of a user."""
    for module, owner in MODULES.items():
        manage(tree, "add_module", module, f"--owned-by={owner}")
