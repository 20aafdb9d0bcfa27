"""The table in ``saas/docs/reliability.md`` has a row for each fault, and the tests that it names exist."""

import re

from saas.testing.documented_tests import ROOT, missing_tests

TEXT = (ROOT / "saas/docs/reliability.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([\d, ]+) \| .* \| (.*) \|$", TEXT, re.MULTILINE)


def test_every_fault_has_a_row():
    numbers = [int(number) for numbers, _ in ROWS for number in numbers.split(",")]

    assert sorted(numbers) == list(range(1, 50))


def test_every_test_in_the_table_exists():
    named = [name for _, cell in ROWS for name in re.findall(r"`([^`]+\.py[^`]*)`", cell)]

    assert len(named) > 50
    assert missing_tests(named) == []
