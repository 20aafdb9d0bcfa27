"""Check that the tests that a document names exist."""

from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def missing_tests(named: Iterable[str]) -> list[str]:
    """Return those of ``named`` that do not exist: ``path``, or ``path::function``, relative to the repository."""
    return [name for name in named if not _exists(*name.partition("::")[::2])]


def _exists(path: str, function: str) -> bool:
    file = ROOT / path
    return file.is_file() and (not function or f"def {function}(" in file.read_text(encoding="utf-8"))
