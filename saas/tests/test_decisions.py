"""A comment that says ``decision 14`` points to a decision that is kept."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DECISIONS = ROOT / "saas/docs/decisions.md"
_TITLES = re.compile(r"^## (\d+)\. .+\n\n\d{4}-\d\d-\d\d\b.* · in force", re.MULTILINE)
_REFERENCES = re.compile(r"\bdecisions?\s+(?:#\s*)?(\d+(?:(?:, | and | or )\d+)*)", re.IGNORECASE)
FOLDERS = ("saas", "product", "admin_ops", "parity", "webhooks")
_SUFFIXES = {".py", ".md", ".html", ".css", ".js", ".yml", ".toml"}


def kept() -> list[int]:
    return [int(number) for number in _TITLES.findall(DECISIONS.read_text(encoding="utf-8"))]


def references() -> Iterator[tuple[str, int]]:
    paths = [*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))]
    for path in paths:
        if path.suffix in _SUFFIXES and path not in {DECISIONS, Path(__file__)}:
            for numbers in _REFERENCES.findall(path.read_text(encoding="utf-8")):
                yield from ((str(path.relative_to(ROOT)), int(number)) for number in re.findall(r"\d+", numbers))


def test_every_reference_is_to_a_decision_that_is_kept() -> None:
    missing = sorted({f"{name}: decision {number}" for name, number in references() if number not in kept()})

    assert missing == []


def test_every_decision_has_a_date_and_a_place_in_the_index() -> None:
    text = DECISIONS.read_text(encoding="utf-8")

    assert text.count("\n## ") == len(kept()) == len(set(kept())) > 25
    assert sorted(int(number) for number in re.findall(r"\[(\d+)\]\(#\1-", text)) == sorted(kept())
