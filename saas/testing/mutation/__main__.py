"""``manage.py test --mutate MODULE``: change one thing after the other, and show what no test noticed."""

import argparse
import random
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from saas.testing.mutation.coverage_map import CoverageMap, measure
from saas.testing.mutation.mutants import Mutant, find_mutants
from saas.testing.mutation.running import MutantResult, Result, try_all

ROOT = Path(__file__).resolve().parents[3]
MAP_FILE = ROOT / "var/mutation/coverage.json"
EQUIVALENT_FILE = Path(__file__).with_name("equivalent.toml")
_NOT_CODE = {"tests", "migrations", "testing"}


def main(arguments: list[str]) -> int:
    """Return 0 if every mutant was noticed or is known to change nothing."""
    options = _parser().parse_args(arguments)
    mutants = [mutant for path in _modules(options.mutate) for mutant in find_mutants(ROOT, path)]
    equivalent = _equivalent()
    chosen = _sample([one for one in mutants if _key(one) not in equivalent], options.sample, options.seed)
    _say(f"{len(chosen)} of {len(mutants)} mutants of {len(options.mutate)} modules and packages.")
    outcomes: list[MutantResult] = []
    for outcome in try_all(ROOT, chosen, _coverage(options)):
        outcomes.append(outcome)
        if outcome.result in (Result.SURVIVED, Result.NO_TEST):
            _say(f"{outcome.result}: {outcome.mutant}")
    return _report(outcomes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="manage.py test", description=__doc__)
    parser.add_argument(
        "--mutate", nargs="+", required=True, metavar="PATH", help="Modules or packages, such as saas/teams."
    )
    parser.add_argument("--sample", type=int, default=0, help="So many of the mutants; all by default.")
    parser.add_argument("--seed", type=int, default=1, help="Another sample.")
    parser.add_argument(
        "--tests", nargs="*", default=[], help="The tests to choose from, when measuring; all by default."
    )
    parser.add_argument("--measure", action="store_true", help="See anew which test runs what, even if that is known.")
    return parser


def _modules(paths: list[str]) -> Iterator[str]:
    for path in paths:
        here = ROOT / path
        if not here.exists():
            sys.exit(f"There is no {path}.")
        for file in sorted(here.rglob("*.py")) if here.is_dir() else [here]:
            if not _NOT_CODE & set(file.relative_to(ROOT).parts):
                yield str(file.relative_to(ROOT))


def _coverage(options: argparse.Namespace) -> CoverageMap:
    if options.measure or not MAP_FILE.exists():
        _say("Running the tests once to see which of them runs what.")
        measure(ROOT, options.tests).save(MAP_FILE)
    return CoverageMap.load(MAP_FILE)


def _sample(mutants: list[Mutant], size: int, seed: int) -> list[Mutant]:
    if not size or size >= len(mutants):
        return mutants
    chosen = set(random.Random(seed).sample(range(len(mutants)), size))
    return [mutant for position, mutant in enumerate(mutants) if position in chosen]


def _equivalent() -> set[tuple[str, str, str]]:
    """The mutants that change nothing one could see, each with its reason in the file."""
    found = tomllib.loads(EQUIVALENT_FILE.read_text(encoding="utf-8"))
    return {(one["path"], one["before"], one["after"]) for one in found.get("mutant", [])}


def _key(mutant: Mutant) -> tuple[str, str, str]:
    return mutant.path, mutant.before, mutant.after


def _report(outcomes: list[MutantResult]) -> int:
    by_path: dict[str, Counter[Result]] = {}
    for outcome in outcomes:
        by_path.setdefault(outcome.mutant.path, Counter())[outcome.result] += 1
    _say("")
    for path, results in [*by_path.items(), ("all", Counter(outcome.result for outcome in outcomes))]:
        noticed = results[Result.KILLED] + results[Result.TIMEOUT]
        _say(f"{noticed:5} of {results.total():5} noticed ({noticed / max(results.total(), 1):4.0%})  {path}")
    return int(any(outcome.result in (Result.SURVIVED, Result.NO_TEST) for outcome in outcomes))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
