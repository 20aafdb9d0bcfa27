"""Two modules, one of a team and one of a user, from their first line to their last, in a copy of the tree."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from saas.management.tests.trees import MODULES, add_modules, copy_of_tree, manage, run, snapshot

pytestmark = pytest.mark.long
FOLDERS = [f"{package}/{module}" for module in MODULES for package in ("saas", "product", "admin_ops")]


@pytest.fixture(scope="module")
def untouched() -> Iterator[Path]:
    with copy_of_tree(Path(settings.BASE_DIR)) as tree:
        yield tree


@pytest.fixture(scope="module")
def before(untouched: Path) -> dict[str, bytes]:
    return snapshot(untouched)


@pytest.fixture(scope="module")
def tree(untouched: Path, before: dict[str, bytes]) -> Path:
    add_modules(untouched)
    return untouched


@pytest.mark.parametrize(
    "tool",
    [
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy", *FOLDERS),
        ("pytest", "-q", "-p", "no:cacheprovider", "saas/tests/test_architecture.py", "saas/tests/test_migrations.py"),
        ("pytest", "-q", "-p", "no:cacheprovider", "saas/tests/test_documents.py", "saas/tests/test_translations.py"),
    ],
    ids=" ".join,
)
def test_every_linter_passes_what_was_written(tree: Path, tool: tuple[str, ...]) -> None:
    done = run(tree, "-m", *tool)

    assert done.returncode == 0, done.stdout


def test_the_migrations_are_complete_and_run(tree: Path) -> None:
    assert "No changes detected" in manage(tree, "makemigrations", "--check", "--dry-run")
    assert "Applying projects.0001_initial... OK" in manage(tree, "migrate")


@pytest.mark.parametrize("engine", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_their_own_tests_pass(tree: Path, engine: str) -> None:
    environment = {"DATABASE_URL": f"{settings.DATABASE_URL}_modules"} if engine == "postgres" else {}

    done = run(tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", *FOLDERS, **environment)

    assert done.returncode == 0, done.stdout
    assert (" skipped" in done.stdout) == (engine == "sqlite"), done.stdout  # the races


def test_taken_out_they_leave_neither_files_nor_tables(tree: Path, before: dict[str, bytes]) -> None:
    manage(tree, "migrate")
    database = Path(f"{tree}-var") / "db.sqlite3"

    for module in MODULES:
        statements = "\n".join(
            line for line in manage(tree, "remove_module", module).splitlines() if line.endswith(";")
        )
        with sqlite3.connect(database) as connection:
            connection.executescript(statements)

    assert snapshot(tree) == before
    with sqlite3.connect(database) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        applied = {app for (app,) in connection.execute("SELECT app FROM django_migrations")}
    assert tables & {"projects_project", "support_tickets_supportticket"} == set()
    assert applied & MODULES.keys() == set()
    assert "No migrations to apply" in manage(tree, "migrate")
