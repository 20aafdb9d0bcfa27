"""Taking away each guard in a copy of the tree, and seeing which test notices."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from saas.management.guards.running import GuardsBroken, first_failure, run_guards
from saas.management.guards.sabotages import Sabotage, find_sabotages
from saas.management.tree_copies import TreeCopy, try_in_copies


@dataclass(frozen=True)
class GuardResult:
    """``noticed_by`` is the first test that failed; empty if none did."""

    sabotage: Sabotage
    noticed_by: str


def sabotage_all(root: Path, module: str) -> Iterator[GuardResult]:
    """Try each sabotage of the module, as many at once as there are cores; yield the results in their order.

    Raises ``GuardsBroken`` if a guard fails before anything is taken away.
    """

    def attempt(copy: TreeCopy, sabotage: Sabotage) -> GuardResult:
        source = (copy.path / sabotage.path).read_text(encoding="utf-8")
        with copy.changed(sabotage.path, sabotage.apply_to(source)):
            failure = first_failure(copy.path, module)
        return GuardResult(sabotage, failure.test if failure else "")

    if failures := run_guards(root, module, own_tests=True).failures:
        raise GuardsBroken(f"A guard fails already: {failures[0].sentence}")
    yield from try_in_copies(root, find_sabotages(root, module), attempt)
