"""Adding a module to a tree and taking it out again: all of it or nothing."""

import ast
import json
import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import CommandError, call_command

from saas.api.openapi import schema_files
from saas.management.modules import writing
from saas.management.modules.insertions import insertions
from saas.management.modules.names import ModuleNames, ModuleRefused, module_names
from saas.management.modules.templates import render_files
from saas.operations.app_discovery import added_module_files

ROOT = Path(settings.BASE_DIR)
LINE_LENGTH = 120
LONGEST = ModuleNames("knowledge_base_cards", "knowledge_base_cardx")
OWNERS = pytest.mark.parametrize("owned_by", ["team", "user"])


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that a module changes, in a folder of their own; the services' documents are made without the services."""
    for path in {one.path for one in insertions(LONGEST, "team")}:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, tmp_path / path)
    monkeypatch.setattr(schema_files, "FOLDER", tmp_path / "saas/docs/openapi")
    monkeypatch.setattr(schema_files, "generate_document", lambda service: {"paths": {}, "made_for": service})
    for service in writing.DOCUMENTS:
        schema_files.save_document(service, schema_files.generate_document(service))
    return tmp_path


def snapshot(tree: Path) -> dict[str, bytes]:
    return {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()}


def add(tree: Path, name: str = "projects", owned_by: str = "team") -> None:
    writing.add(tree, writing.plan_addition(tree, module_names(name), owned_by))


def remove(tree: Path, name: str = "projects", *, force: bool = False) -> None:
    writing.remove(tree, writing.plan_removal(tree, name, force=force))


@OWNERS
def test_a_module_comes_and_goes_without_a_trace(tree: Path, owned_by: str) -> None:
    before = snapshot(tree)

    add(tree, owned_by=owned_by)
    added = snapshot(tree)
    remove(tree)

    assert 'MODULES: list[str] = [\n    "projects",\n' in added["saas/settings/base.py"].decode()
    assert snapshot(tree) == before


@pytest.mark.parametrize("first_out", ["projects", "support_tickets"])
def test_two_modules_go_in_any_order(tree: Path, first_out: str) -> None:
    before = snapshot(tree)
    add(tree, "projects", "team")
    add(tree, "support_tickets", "user")

    remove(tree, first_out)
    remove(tree, ({"projects", "support_tickets"} - {first_out}).pop())

    assert snapshot(tree) == before


def test_a_module_is_not_added_twice(tree: Path) -> None:
    add(tree)
    before = snapshot(tree)

    with pytest.raises(ModuleRefused) as refusal:
        add(tree, owned_by="user")

    assert str(refusal.value) == "There is saas/projects already: choose another name, or take that away first."
    assert snapshot(tree) == before


def test_a_tree_without_the_place_for_a_line_is_not_changed(tree: Path) -> None:
    errors = tree / "README.md"
    errors.write_text(errors.read_text().replace("  teams/            teams, roles", "  teams/ roles"))
    before = snapshot(tree)

    with pytest.raises(
        ModuleRefused, match=r"^README\.md has no single line `teams/ .*below which the module's lines belong\.$"
    ):
        add(tree)

    assert snapshot(tree) == before


@pytest.mark.parametrize("change", [add, remove])
def test_what_fails_half_way_is_undone(tree: Path, change, monkeypatch: pytest.MonkeyPatch) -> None:
    if change is remove:
        add(tree)
    before = snapshot(tree)

    def fail(service: str) -> dict:
        raise RuntimeError(f"{service} makes no schema")

    monkeypatch.setattr(schema_files, "generate_document", fail)
    with pytest.raises(RuntimeError, match="product makes no schema"):
        change(tree)

    assert snapshot(tree) == before


CHANGES = {
    "saas/projects/models.py was changed since add_module wrote it.": lambda tree: (
        (tree / "saas/projects/models.py").open("a").write("# mine\n")
    ),
    "saas/projects/permissions.py is gone.": lambda tree: (tree / "saas/projects/permissions.py").unlink(),
    "saas/projects/migrations/0002_mine.py is not add_module's.": lambda tree: (
        tree / "saas/projects/migrations/0002_mine.py"
    ).touch(),
    "saas/settings/uses.py uses the module.": lambda tree: (tree / "saas/settings/uses.py").write_text(
        "from saas.projects.models import Project\n"
    ),
    "saas/docs/errors.md does not have the lines any more that add_module wrote there.": lambda tree: (
        tree / "saas/docs/errors.md"
    ).write_text(""),
}


@pytest.mark.parametrize("sentence", CHANGES)
def test_a_module_that_was_changed_is_not_taken_out(tree: Path, sentence: str) -> None:
    add(tree)
    CHANGES[sentence](tree)
    before = snapshot(tree)

    with pytest.raises(ModuleRefused) as refusal:
        remove(tree)

    assert str(refusal.value) == f"{sentence} Take it out by hand, or use --force, which loses that."
    assert snapshot(tree) == before


@pytest.mark.parametrize("sentence", CHANGES)
def test_it_is_taken_out_all_the_same_with_force(tree: Path, sentence: str) -> None:
    add(tree)
    CHANGES[sentence](tree)

    remove(tree, force=True)

    assert not (tree / "saas/projects").exists()
    assert '"projects"' not in (tree / "saas/settings/base.py").read_text()


@pytest.mark.parametrize("name", ["teams", "nothing", "../teams", "", "x" * 200])
def test_only_what_add_module_wrote_is_taken_out(name: str) -> None:
    with pytest.raises(CommandError) as refusal:
        call_command("remove_module", name)

    assert str(refusal.value) == f"There is no module {name[:60]!r} that add_module wrote."


def test_a_dry_run_shows_all_and_writes_nothing() -> None:
    shown = StringIO()

    call_command("add_module", "projects", owned_by="team", dry_run=True, verbosity=2, stdout=shown)

    assert "new      saas/projects/models.py (" in shown.getvalue()
    assert "class Project(models.Model):" in shown.getvalue()
    assert 'changed  saas/settings/base.py\n         +     "projects",' in shown.getvalue()
    assert shown.getvalue().endswith("Nothing was written.\n")
    assert not (ROOT / "saas/projects").exists()


def test_a_bad_name_is_one_sentence_on_the_command_line() -> None:
    with pytest.raises(CommandError, match=r"^`project` is no plural: use `projects`"):
        call_command("add_module", "project", owned_by="team")

    assert not (ROOT / "saas/project").exists()


@OWNERS
@pytest.mark.parametrize(
    "names", [LONGEST, ModuleNames("zoos", "zoo"), ModuleNames("a_b_c_d_e_f_g_h_i_js", "a_b_c_d_e_f_g_h_i_j")]
)
def test_generated_code_is_python_in_lines_that_are_not_too_long(names: ModuleNames, owned_by: str) -> None:
    files = render_files(names, owned_by)
    sources = {path: text for path, text in files.items() if path.endswith(".py")}

    assert len(sources) == {"team": 23, "user": 22}[owned_by]
    assert [path for path, text in files.items() if "${" in text or "module_name" in path] == []
    assert {path: line for path, text in sources.items() for line in text.splitlines() if len(line) > LINE_LENGTH} == {}
    assert all(ast.parse(text) for path, text in sources.items() if text)


def test_the_manifest_says_what_was_written(tree: Path) -> None:
    add(tree)

    manifest = json.loads((tree / "saas/projects/module.json").read_text())

    assert manifest["owned_by"] == "team"
    assert manifest["files"].keys() == render_files(module_names("projects"), "team").keys()


def test_without_teams_none_can_own_a_module(settings: Any) -> None:
    settings.TEAMS = False

    with pytest.raises(CommandError, match="TEAMS is off, so no team can own it"):
        call_command("add_module", "projects", "--owned-by", "team", "--dry-run")


@pytest.mark.parametrize(
    ("owned_by", "has_teams", "served"), [("team", False, 0), ("team", True, 1), ("user", False, 1)]
)
def test_a_module_of_teams_is_off_where_teams_are(
    settings: Any, monkeypatch: pytest.MonkeyPatch, owned_by: str, has_teams: bool, served: int
) -> None:
    settings.TEAMS, settings.MODULES = has_teams, ["billing"]
    monkeypatch.setattr(apps.get_app_config("billing"), "owned_by", owned_by, raising=False)

    assert [file.__name__ for file in added_module_files("product", "urls")] == ["product.billing.urls"] * served
