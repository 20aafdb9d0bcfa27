"""Testing the tests of a small tree: what is changed, who is asked, and what it says of them."""

from pathlib import Path

import pytest

pytest.importorskip("cosmic_ray", reason="with what linters and the longer tests need")

from cosmic_ray.mutating import mutate_code

from saas.testing.mutation.coverage_map import CoverageMap, measure
from saas.testing.mutation.mutants import find_mutants
from saas.testing.mutation.operators import RemoveCondition, RemoveStatement
from saas.testing.mutation.running import Result, try_all

pytestmark = pytest.mark.long
RULES = """LIMIT = 3


def allow(used, team):
    require(team)
    return used < LIMIT


def require(team):
    if not team:
        raise ValueError
"""
TESTS = """from saas.rules import allow
import pytest

@pytest.mark.parametrize("used", [0, 2])
def test_below_the_limit_is_allowed(used):
    assert allow(used, "team")

def test_nothing_else():
    pass
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "saas/tests").mkdir(parents=True)
    for package in ("product", "admin_ops", "parity", "webhooks"):
        (root / package).mkdir()
        (root / package / "__init__.py").touch()
    for path, text in {
        "pytest.ini": "[pytest]\npythonpath = .\naddopts = -p no:django --import-mode=importlib\n",
        "saas/__init__.py": "",
        "saas/rules.py": RULES,
        "saas/tests/test_rules.py": TESTS,
    }.items():
        (root / path).write_text(text)
    return root


@pytest.mark.parametrize(
    ("operator", "before", "after"),
    [
        (RemoveStatement, "if a:\n    check(it)\n", "if a:\n    pass\n"),
        (RemoveStatement, "if a:\n    # why\n    raise Refused from None\n", "if a:\n    # why\n    pass\n"),
        (RemoveCondition, "rows.filter(a=1, b=2).first()\n", "rows.filter(b=2).first()\n"),
        (RemoveCondition, "rows.exclude(\n    a=1,\n)\n", "rows.exclude()\n"),
    ],
)
def test_a_rule_is_left_out(operator: type, before: str, after: str) -> None:
    assert mutate_code(before, operator(), 0) == after


@pytest.mark.parametrize("source", ["logger.info(a)\n", "super().save()\n", "x = check(it)\n"])
def test_what_is_no_rule_is_left_in(source: str) -> None:
    assert mutate_code(source, RemoveStatement(), 0) is None


def test_each_change_is_one_mutant(tree: Path) -> None:
    changes = {(mutant.line, mutant.after) for mutant in find_mutants(tree, "saas/rules.py")}

    assert changes == {
        (1, "LIMIT = 2"), (1, "LIMIT = 4"), (5, "pass"), (6, "return used <= LIMIT"), (6, "return used >= LIMIT"),
        (10, "if  team:"), (11, "pass"),
    }  # fmt: skip


def test_what_no_test_notices_is_told(tree: Path) -> None:
    coverage = measure(tree, [])

    outcomes = list(try_all(tree, find_mutants(tree, "saas/rules.py"), coverage))

    assert coverage.functions["saas/rules.py"]["allow"] == ["saas/tests/test_rules.py::test_below_the_limit_is_allowed"]
    survivors = [(one.mutant.line, one.mutant.after) for one in outcomes if one.result != Result.KILLED]
    assert survivors == [(1, "LIMIT = 4"), (5, "pass"), (6, "return used <= LIMIT"), (11, "pass")]
    assert (tree / "saas/rules.py").read_text() == RULES


def test_a_test_that_is_new_is_asked_as_well(tree: Path) -> None:
    coverage = CoverageMap({"saas/rules.py": {"allow": ["saas/tests/test_rules.py::test_old"]}}, {})

    assert coverage.tests_of(tree, "saas/rules.py", 6, coverage.changed_tests(tree)) == ["saas/tests/test_rules.py"]


def test_without_a_test_it_is_told(tree: Path) -> None:
    coverage = CoverageMap({}, {"saas/tests/test_rules.py": measure(tree, []).digests["saas/tests/test_rules.py"]})

    (first, *_) = try_all(tree, find_mutants(tree, "saas/rules.py"), coverage)

    assert first.result == Result.NO_TEST
