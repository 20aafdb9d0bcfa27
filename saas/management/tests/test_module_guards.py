"""The guards of two new modules, in a copy of the tree: they name what was forgotten, and notice each sabotage."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from saas.management.tests.trees import MODULES, add_modules, copy_of_tree, manage, run

pytestmark = pytest.mark.long
EACH = pytest.mark.parametrize("module", MODULES)


@pytest.fixture(scope="module")
def tree() -> Iterator[Path]:
    with copy_of_tree(Path(settings.BASE_DIR)) as tree:
        add_modules(tree)
        yield tree


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
