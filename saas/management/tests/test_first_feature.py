"""The page "Your first feature" is executed: its commands and its changes, in their order, in a copy of the tree."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from saas.management.tests.trees import copy_of_tree, run

pytestmark = pytest.mark.long
PAGE = Path(settings.BASE_DIR) / "saas/docs/first-feature.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINTERS = [("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy", "saas/projects", "product/projects")]


def test_the_page_does_what_it_says() -> None:
    blocks = _BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert {kind for kind, _ in blocks} == {"bash", "text", "diff"}

    with copy_of_tree(Path(settings.BASE_DIR)) as tree:
        said = ""
        for kind, text in blocks:
            if kind == "bash":
                said = "".join(_executed(tree, text))
            elif kind == "diff":
                _apply(tree, text)
            else:
                assert [line for line in text.splitlines() if line not in said] == [], said
        for linter in LINTERS:
            done = run(tree, "-m", *linter)
            assert done.returncode == 0, done.stdout


def _executed(tree: Path, commands: str) -> Iterator[str]:
    """What each command says. One that fails says why, which the page then shows."""
    for command in commands.splitlines():
        program, *arguments = command.split()
        assert program == "python3"
        done = run(tree, *arguments)
        assert done.returncode == 0 or "CommandError" in done.stdout, done.stdout
        yield done.stdout


def _apply(tree: Path, diff: str) -> None:
    """Lines with a minus become those with a plus; the others say where."""
    head, *lines = diff.splitlines()
    path = tree / head.removeprefix("# ")
    source = path.read_text(encoding="utf-8")
    old, new = ("".join(f"{line[1:]}\n" for line in lines if line[:1] != left_out) for left_out in ("+", "-"))
    assert source.count(old) == 1, f"{head}: {source.count(old)} places of\n{old}"
    path.write_text(source.replace(old, new), encoding="utf-8")
