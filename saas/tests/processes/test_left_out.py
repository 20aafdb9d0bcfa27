"""What a run of the tests says at its end about the tests that it left out."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

TESTS = """
import pytest

@pytest.mark.long
def test_long(): ...

@pytest.mark.long
@pytest.mark.faults
def test_long_with_faults(): ...

@pytest.mark.browser
def test_page(): ...

@pytest.mark.parametrize("number", [1, 2])
def test_on_postgres(number): pytest.skip("needs PostgreSQL: set DATABASE_URL")

@pytest.mark.slow
def test_processes(): ...

def test_sample(): pytest.skip("needs the shared samples")

def test_ordinary(): ...
"""
LEFT_OUT = "saas.testing.pytest_plugins.left_out"
OPTIONS = ["-p", LEFT_OUT, "-p", "no:django", "-p", "no:schemathesis", "-p", "no:cacheprovider"]
ORDINARY = ["-m", "not slow and not faults and not browser and not long"]


@pytest.fixture
def run(pytester: pytest.Pytester):
    """Run pytest on ``TESTS`` with the marks of this repository, and return the lines from the summary on."""
    pytester.makepyfile(TESTS)
    (pytester.path / "pytest.ini").write_text((Path(__file__).parents[3] / "pytest.ini").read_text())

    def run(*options: str) -> list[str]:
        lines = pytester.runpytest_inprocess(*OPTIONS, "-o", "addopts=", *options).outlines
        start = next((number for number, line in enumerate(lines) if " left out " in line), len(lines) - 1)
        return lines[start + 1 :]

    return run


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "by a worker"])
def test_a_run_says_what_it_left_out_and_why(run, workers: list[str]) -> None:
    *told, last = run(*ORDINARY, *workers)

    assert told == [
        "2 tests marked long: takes minutes, or needs what only CI installs. Run with: python3 manage.py test -m long",
        "1 test marked browser: drives Chromium. Run with: python3 manage.py test -m browser",
        "1 test marked slow: starts real processes. Run with: python3 manage.py test -m slow",
        "2 tests skipped: needs PostgreSQL: set DATABASE_URL",
        "1 test skipped: needs the shared samples",
    ]
    assert "1 passed, 3 skipped" in last


def test_what_the_caller_does_not_choose_is_counted_too(run) -> None:
    *told, last = run("-k", "ordinary")

    assert told == [
        "2 tests marked long: takes minutes, or needs what only CI installs. Run with: python3 manage.py test -m long",
        "1 test marked browser: drives Chromium. Run with: python3 manage.py test -m browser",
        "1 test marked slow: starts real processes. Run with: python3 manage.py test -m slow",
        "3 tests not chosen by -m, -k or --deselect.",
    ]
    assert "1 passed, 7 deselected" in last


def test_a_run_that_leaves_nothing_out_says_nothing(run) -> None:
    assert run("test_a_run_that_leaves_nothing_out_says_nothing.py::test_ordinary") == []
