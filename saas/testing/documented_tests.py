"""Check that the tests that a document names exist."""

from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def missing_tests(named: Iterable[str]) -> list[str]:
    """Return those of ``named`` that do not exist: ``path::function`` or ``path``, relative to the repository."""
    missing = []
    for name in named:
        path, _, function = name.partition("::")
        file = ROOT / path
        if not file.is_file() or (function and f"def {function}(" not in file.read_text(encoding="utf-8")):
            missing.append(name)
    return missing
