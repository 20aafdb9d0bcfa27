"""The table in ``saas/docs/reliability.md`` has a test for each of the faults, and each is there."""

import re

import pytest

from saas.tests.faults.webhook_system import ROOT

TEXT = (ROOT / "saas/docs/reliability.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([\d, ]+) \| .* \| (.*) \|$", TEXT, re.MULTILINE)


def test_all_rows_are_there():
    numbers = [int(number) for numbers, _ in ROWS for number in numbers.split(",")]

    assert sorted(numbers) == list(range(1, 50))


@pytest.mark.parametrize(
    "place", sorted({place for _, cell in ROWS for place in re.findall(r"`([^`]+\.py[^`]*)`", cell)})
)
def test_a_test_that_is_named_is_there(place):
    path, _, name = place.partition("::")

    assert f"def {name}" in (ROOT / path).read_text(encoding="utf-8")
