"""Say at the end of a run what was left out, and why: a pytest plugin.

With several workers each counts the same deselected tests, and tells the process that writes the summary.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

MARKS = ("long", "browser", "faults", "slow")  # in this order: a test may have several
DESELECTED = pytest.StashKey[Counter[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[DESELECTED] = Counter()


@pytest.hookimpl(tryfirst=True)
def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    for item in items:
        mark = next((mark for mark in MARKS if item.get_closest_marker(mark)), "")
        item.config.stash[DESELECTED][mark] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        counts: Counter[str] = session.config.stash[DESELECTED]
        output["deselected"] = dict(counts)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take a worker's counts; one that crashed has none."""
    node.config.stash[DESELECTED] |= Counter(getattr(node, "workeroutput", {}).get("deselected", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    skipped = Counter(
        report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.stats.get("skipped", [])
    )
    if lines := [*_deselected(config.stash[DESELECTED], _descriptions(config)), *_skipped(skipped)]:
        terminalreporter.section("left out")
        for line in lines:
            terminalreporter.line(line)


def _descriptions(config: pytest.Config) -> dict[str, str]:
    """Return what ``pytest.ini`` says of each mark, up to the first semicolon."""
    marks = (line.partition(":") for line in config.getini("markers"))
    return {name: text.partition(";")[0].strip() for name, _, text in marks}


def _deselected(counts: Counter[str], descriptions: dict[str, str]) -> list[str]:
    by_mark = [
        f"{_tests(counts[mark])} marked {mark}: {descriptions[mark]}. Run with: python3 manage.py test -m {mark}"
        for mark in MARKS
        if counts[mark]
    ]
    return [*by_mark, *([f"{_tests(counts[''])} not chosen by -m, -k or --deselect."] if counts[""] else [])]


def _skipped(counts: Counter[str]) -> list[str]:
    return [f"{_tests(count)} skipped: {reason}" for reason, count in counts.most_common()]


def _tests(count: int) -> str:
    return f"{count} test" if count == 1 else f"{count} tests"
