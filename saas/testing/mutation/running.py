"""Trying mutants: each in a copy of the tree, as many at once as there are cores."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from saas.management.tree_copies import TreeCopy, try_in_copies
from saas.testing.mutation.coverage_map import CoverageMap
from saas.testing.mutation.mutants import Mutant

TIMEOUT_SECONDS = 300
FIRST_REDIS_DATABASE = 8  # the tests themselves use the lower ones
_NO_TESTS = 5  # pytest's exit code


class Result(StrEnum):
    KILLED = "killed"
    TIMEOUT = "timeout"  # it runs for ever, which is noticed
    SURVIVED = "survived"
    NO_TEST = "no test"


@dataclass(frozen=True)
class MutantResult:
    mutant: Mutant
    result: Result


def try_all(root: Path, mutants: Sequence[Mutant], coverage: CoverageMap) -> Iterator[MutantResult]:
    """Try each mutant, in their order."""
    changed = coverage.changed_tests(root)

    def attempt(copy: TreeCopy, mutant: Mutant) -> MutantResult:
        tests = coverage.tests_of(root, mutant.path, mutant.line, changed)
        with copy.changed(mutant.path, mutant.source):
            return MutantResult(mutant, _run(copy, tests) if tests else Result.NO_TEST)

    return try_in_copies(root, mutants, attempt)


def _run(copy: TreeCopy, tests: list[str]) -> Result:
    arguments = copy.path / "mutation-tests.txt"
    arguments.write_text("\n".join(tests), encoding="utf-8")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"@{arguments}"],
            cwd=copy.path,
            env=_environment(copy.number),
            capture_output=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return Result.TIMEOUT
    return {0: Result.SURVIVED, _NO_TESTS: Result.NO_TEST}.get(done.returncode, Result.KILLED)


def _environment(number: int) -> dict[str, str]:
    """This process's, with a PostgreSQL and a Redis database of the copy's own: else the copies would drop each other's."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    if url := environment.get("DATABASE_URL"):
        parts = urlsplit(url)
        environment["DATABASE_URL"] = urlunsplit(parts._replace(path=f"{parts.path}_mutation{number}"))
    if url := environment.get("REDIS_URL"):
        environment["REDIS_URL"] = urlunsplit(urlsplit(url)._replace(path=f"/{FIRST_REDIS_DATABASE + number}"))
    return environment
