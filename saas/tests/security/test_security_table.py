"""The tests that the table in ``saas/docs/security-tests.md`` names exist."""

import re
from collections.abc import Iterator

from saas.testing.documented_tests import ROOT, missing_tests

CELLS = re.findall(r"`([^`]+)`", (ROOT / "saas/docs/security-tests.md").read_text(encoding="utf-8"))


def documented_tests() -> Iterator[str]:
    """``path::function``; a name that begins with colons is of the file named before it."""
    file = ""
    for cell in CELLS:
        if ".py" in cell or cell.startswith("::"):
            path, _, function = cell.partition("::")
            file = path or file
            yield f"{file if '/' in file else f'product/tests/{file}'}::{function}"


def test_every_test_in_the_table_exists() -> None:
    named = list(documented_tests())

    assert len(named) > 250
    assert missing_tests(named) == []
