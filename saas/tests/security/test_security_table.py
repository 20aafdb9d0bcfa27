"""The table in ``saas/docs/security-tests.md`` names tests that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CELLS = re.findall(r"`([^`]+)`", (ROOT / "saas/docs/security-tests.md").read_text(encoding="utf-8"))


def named() -> list[tuple[str, str]]:
    """File and test; a name that begins with colons is of the file named before it."""
    found, file = [], ""
    for cell in CELLS:
        if ".py" in cell or cell.startswith("::"):
            path, _, test = cell.partition("::")
            file = path or file
            found.append((file if "/" in file else f"product/tests/{file}", test))
    return found


@pytest.mark.parametrize(("file", "test"), named())
def test_every_test_that_the_table_names_is_there(file: str, test: str) -> None:
    source = (ROOT / file).read_text(encoding="utf-8")

    assert not test or f"def {test}(" in source
