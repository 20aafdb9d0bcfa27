"""What the documents name is there: files, folders, links and headings. The changelog is history, and may name what is gone."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "saas/docs").glob("*.md")]
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
_PATH = re.compile(r"`((?:saas|product|admin_ops|parity|webhooks|\.ci)/[\w./-]+)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    broken = [f"{path}#{anchor}" for path, anchor in _links(document) if not _leads_somewhere(document, path, anchor)]

    assert broken == []


@pytest.mark.parametrize(
    "document", [path for path in DOCUMENTS if path.name != "changelog.md"], ids=lambda path: path.name
)
def test_every_path_that_a_document_names_exists(document: Path) -> None:
    named = {path.rstrip("./") for path in _PATH.findall(document.read_text(encoding="utf-8"))}

    assert sorted(path for path in named if not (ROOT / path).exists()) == []


def test_the_readmes_map_names_every_package_of_the_project() -> None:
    shown = (ROOT / "README.md").read_text(encoding="utf-8").split("## The map")[1].split("```")[1]
    packages = {path.parent.name for path in (ROOT / "saas").glob("*/__init__.py")}

    assert sorted(name for name in packages if f"{name}/" not in shown) == []


def _links(document: Path) -> Iterator[tuple[str, str]]:
    return iter(_LINK.findall(document.read_text(encoding="utf-8")))


def _leads_somewhere(document: Path, path: str, anchor: str) -> bool:
    target = document.parent / path if path else document
    return target.exists() and (not anchor or anchor in _headings(target))


def _headings(document: Path) -> set[str]:
    """As GitHub makes anchors of them."""
    titles = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
