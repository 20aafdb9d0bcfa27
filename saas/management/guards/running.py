"""Running the guards of a module in a process of their own, on the tree that is given."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MARK = "pytest.mark.guard"
PACKAGES = ("saas", "product", "admin_ops")
TIMEOUT_SECONDS = 600
_LEFT_OUT = {"DJANGO_SETTINGS_MODULE", "DATABASE_URL", "REDIS_URL", "PYTHONDONTWRITEBYTECODE"}


class GuardsBroken(Exception):
    """The tests did not run to their end. The message is what they said last."""


@dataclass(frozen=True)
class Failure:
    """``test`` is pytest's id of the guard, ``sentence`` what it says."""

    test: str
    sentence: str


@dataclass(frozen=True)
class Findings:
    passed: int
    failures: list[Failure]


def run_guards(root: Path, module: str = "", *, own_tests: bool = False) -> Findings:
    """Run the guards of ``module``, or all of them; with ``own_tests`` also the module's own. Raises ``GuardsBroken``."""
    return _run(root, module, [*(_own_tests(root, module) if own_tests else ()), *_files_with_guards(root)])


def first_failure(root: Path, module: str) -> Failure | None:
    """Return the first of the module's tests and guards to fail. Its own come first: they start in half the time."""
    for files in (_own_tests(root, module), _files_with_guards(root)):
        if failures := _run(root, module, list(files), "-x").failures:
            return failures[0]
    return None


def _run(root: Path, module: str, files: list[str], *options: str) -> Findings:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        done = subprocess.run(  # noqa: S603 (our own interpreter and our own words)
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis"),
                *("-p", "saas.testing.guard_selection"),
                *(f"--guards-of={module}", f"--guards-report={report}", *options, *files),
            ],
            cwd=root,
            env=_environment(folder),
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )
        if not report.exists():
            raise GuardsBroken("\n".join((done.stdout + done.stderr).strip().splitlines()[-5:]))
        found = json.loads(report.read_text(encoding="utf-8"))
    if broken := [one["sentence"] for one in found["failures"] if "::" not in one["test"]]:
        raise GuardsBroken(broken[0])
    if not found["passed"] and not found["failures"]:
        raise GuardsBroken("No test ran.")
    return Findings(found["passed"], [Failure(**one) for one in found["failures"]])


def _environment(var_dir: str) -> dict[str, str]:
    """This one's, for a test run of its own on the embedded engines. Python keeps what it compiled: the next run is faster."""
    kept = {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
    return {**kept, "SAAS_ENV": "test", "SAAS_VAR_DIR": var_dir}


def _files_with_guards(root: Path) -> Iterator[str]:
    for package in PACKAGES:
        for path in sorted((root / package).rglob("tests/**/test_*.py")):
            if MARK in path.read_text(encoding="utf-8"):
                yield str(path.relative_to(root))


def _own_tests(root: Path, module: str) -> Iterator[str]:
    for package in PACKAGES:
        for path in (root / package / module / "tests", root / package / "tests" / f"test_{module}.py"):
            if module and path.exists():
                yield str(path.relative_to(root))
