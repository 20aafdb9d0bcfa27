"""Two modules, one of a team and one of a user, from their first line to their last, in a copy of the tree."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from saas.management.tests.trees import copy_of_tree, manage, run, snapshot

pytestmark = pytest.mark.long
MODULES = {"projects": "team", "support_tickets": "user"}
FOLDERS = [f"{package}/{module}" for module in MODULES for package in ("saas", "product", "admin_ops")]
EACH = pytest.mark.parametrize("module", MODULES)


@pytest.fixture(scope="module")
def untouched() -> Iterator[Path]:
    with copy_of_tree(Path(settings.BASE_DIR)) as tree:
        yield tree


@pytest.fixture(scope="module")
def before(untouched: Path) -> dict[str, bytes]:
    return snapshot(untouched)


@pytest.fixture(scope="module")
def tree(untouched: Path, before: dict[str, bytes]) -> Path:
    """With both modules."""
    for module, owner in MODULES.items():
        manage(untouched, "add_module", module, f"--owned-by={owner}")
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


@EACH
def test_their_guards_find_nothing_wrong(tree: Path, module: str) -> None:
    assert f"guards of {module} found nothing wrong." in manage(tree, "guards", module)


FORGOTTEN = {
    "projects": {
        "saas/projects/personal_data.py": (
            'register_owned_rows(Project, "team")\n',
            '✗ `Project.team` is left when its team is deleted: add `register_owned_rows(Project, "team")` to the app\'s '
            "personal_data.py.",
        ),
        "saas/docs/errors.md": (
            "| `project_limit` | 409 | The plan allows no further project; archive one first. |\n",
            "✗ The error `project_limit` (409) has no row in saas/docs/errors.md: add it.",
        ),
    },
    "support_tickets": {
        "saas/support_tickets/personal_data.py": (
            '    "owner",\n',
            "✗ `SupportTicket.owner` is not in the personal-data register: add it to a "
            "`register_personal_data(SupportTicket, …)` in the app's personal_data.py.",
        ),
        "saas/support_tickets/tests/tenants.py": (
            '{"support_ticket_id": create_support_ticket(owner, f"{name} support ticket").id}',
            "✗ `support_ticket_id` in a path names nothing in the isolation tests: add it to `tenant_objects` in the module's "
            "tests/tenants.py.",
        ),
    },
}


@EACH
def test_what_was_forgotten_is_said_in_a_sentence(tree: Path, module: str) -> None:
    forgotten = FORGOTTEN[module]
    whole = {path: (tree / path).read_text() for path in forgotten}
    for path, (line, _) in forgotten.items():
        assert line in whole[path]
        (tree / path).write_text(whole[path].replace(line, "{}" if line.startswith("{") else ""))
    try:
        done = run(tree, "manage.py", "guards", module)
    finally:
        for path, source in whole.items():
            (tree / path).write_text(source)

    missing = {sentence for _, sentence in forgotten.values()}.difference(done.stdout.splitlines())
    assert (done.returncode, missing) == (1, set()), done.stdout


def test_each_sabotage_is_noticed(tree: Path) -> None:
    said = manage(tree, "guards", "projects", "--sabotage")

    assert "sabotages of projects were noticed." in said
    assert said.count("without the tenant filter of") >= 4


def test_a_sabotage_that_no_test_notices_is_an_error(tree: Path) -> None:
    """The one filter that no test runs; all the others are noticed."""
    path = tree / "product/support_tickets/views.py"
    source = path.read_text()
    path.write_text(source + "\n\ndef unused(user):\n    return SupportTicket.objects.of_user(user)\n")
    try:
        done = run(tree, "manage.py", "guards", "support_tickets", "--sabotage")
    finally:
        path.write_text(source)

    missed = [line for line in done.stdout.splitlines() if line.startswith("✗")]
    assert (done.returncode, len(missed)) == (1, 1), done.stdout
    assert missed[0].startswith("✗ product/support_tickets/views.py:")
    assert missed[0].endswith("without the tenant filter of `SupportTicket.objects.of_user(user)`")
    assert "CommandError: 1 of " in done.stdout
    assert done.stdout.count("without the tenant filter of") >= 5


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
