"""Which tests run which function, measured once and kept until asked for anew."""

import ast
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from coverage import CoverageData

PACKAGES = ("saas", "product", "admin_ops", "parity", "webhooks")
PARALLEL = ("-n", "auto", "--maxprocesses", "8", "--dist", "loadgroup")
_CONFIG = "[run]\nomit =\n    */tests/*\n    */migrations/*\n    saas/testing/*\n"


@dataclass(frozen=True)
class CoverageMap:
    """``functions`` has the tests by path and by function (``Class.method``); ``digests`` each test file's contents then."""

    functions: dict[str, dict[str, list[str]]]
    digests: dict[str, str]

    def changed_tests(self, root: Path) -> list[str]:
        """The test files that have changed since, or are new."""
        return [file for file, digest in _digests(root) if self.digests.get(file) != digest]

    def tests_of(self, root: Path, path: str, line: int, changed: Sequence[str]) -> list[str]:
        """The tests that run the function at ``line``, nearest first, and all of the ``changed`` files.

        What is outside of functions runs when the module is imported: those tests run anything of the module.
        """
        of_file = self.functions.get(path, {})
        name = _function_at(ast.parse((root / path).read_text(encoding="utf-8")), line)
        found = of_file[name] if name in of_file else sorted({test for tests in of_file.values() for test in tests})
        kept = [test for test in found if test.partition("::")[0] not in changed]
        return sorted(kept, key=lambda test: (_distance(test, path), test)) + sorted(changed)

    def save(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, file: Path) -> "CoverageMap":
        return cls(**json.loads(file.read_text(encoding="utf-8")))


def measure(root: Path, tests: Sequence[str]) -> CoverageMap:
    """Run ``tests`` (all, if there are none) and see which of them runs what. A test that fails is measured as well."""
    with tempfile.TemporaryDirectory() as folder:
        config, data_file = Path(folder) / "coveragerc", Path(folder) / "coverage"
        config.write_text(_CONFIG, encoding="utf-8")
        subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *PARALLEL),
                *("--cov-context=test", "--cov-report=", f"--cov-config={config}"),
                *(f"--cov={package}" for package in PACKAGES),
                *tests,
            ],
            cwd=root,
            env={**os.environ, "COVERAGE_FILE": str(data_file)},
            check=False,
        )
        data = CoverageData(str(data_file))
        data.read()
        return CoverageMap(
            {path: _by_function(root, path, data) for path in _measured(root, data)}, dict(_digests(root))
        )


def _measured(root: Path, data: CoverageData) -> Iterator[str]:
    for file in sorted(data.measured_files()):
        if Path(file).is_relative_to(root):
            yield str(Path(file).relative_to(root))


def _by_function(root: Path, path: str, data: CoverageData) -> dict[str, list[str]]:
    tree = ast.parse((root / path).read_text(encoding="utf-8"))
    found: defaultdict[str, set[str]] = defaultdict(set)
    for line, contexts in data.contexts_by_lineno(str(root / path)).items():
        if name := _function_at(tree, line):
            found[name] |= {context.rpartition("|")[0].partition("[")[0] for context in contexts if context}
    return {name: sorted(tests) for name, tests in found.items() if tests}


def _function_at(tree: ast.Module, line: int) -> str:
    """The outermost function whose body has the line, as ``Class.method``; empty outside of functions."""
    names: list[str] = []
    scope: list[ast.stmt] = tree.body
    while found := next((node for node in scope if _has(node, line)), None):
        names.append(found.name)  # type: ignore[attr-defined]
        if not isinstance(found, ast.ClassDef):
            return ".".join(names)
        scope = found.body
    return ""


def _has(node: ast.stmt, line: int) -> bool:
    """Whether the line is of the class, or of the function's body: its default values run at import."""
    if isinstance(node, ast.ClassDef):
        return node.lineno <= line <= (node.end_lineno or 0)
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.body[0].lineno <= line <= (
        node.end_lineno or 0
    )


def _digests(root: Path) -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        for file in sorted((root / package).rglob("tests/**/test_*.py")):
            yield str(file.relative_to(root)), hashlib.sha256(file.read_bytes()).hexdigest()


def _distance(test: str, path: str) -> int:
    """How many folders the test is away from the module; its own package's are 0."""
    of_test, of_module = Path(test.partition("::")[0]).parts, Path(path).parent.parts
    shared = next((i for i, (a, b) in enumerate(zip(of_test, of_module, strict=False)) if a != b), len(of_module))
    return len(of_module) - shared
