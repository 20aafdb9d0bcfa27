"""What the system is to reach, in one table. ``judge`` holds what a benchmark found against it.

Targets are of PostgreSQL. How cost grows (``scale``) is left to people to judge.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from saas.tests.benchmarks.intake import INTAKE, VIEW
from saas.tests.benchmarks.other_designs import DJSTRIPE, GROUP_COMMIT, STARTER

Row = Mapping[str, Any]  # a benchmark's dataclass as a dict; which columns there are is the benchmark's


@dataclass(frozen=True)
class Target:
    bench: str
    limit: float
    design: str = ""  # empty: each
    connections: int | None = None  # None: any number
    figure: str = "ratio"
    against: str = ""  # the ratio is to this design, of the same rounds; empty: to the first
    is_most: bool = False  # else the limit is the least

    def seen(self, row: Row) -> float | None:
        """``None`` where the row is another's, or the design that it is against did not run."""
        if self.design not in ("", row["design"]) or self.connections not in (None, row.get("connections")):
            return None
        value: float | None = row["against"].get(self.against) if self.against else row[self.figure]
        return value

    def is_met_by(self, seen: float) -> bool:
        return seen <= self.limit if self.is_most else seen >= self.limit

    def __str__(self) -> str:
        return f"{'≤' if self.is_most else '≥'} {self.limit:g}"


# Of those that are of one row, the first is shown beside it.
TARGETS = (
    Target("intake", 1.4, INTAKE, 16),
    Target("intake", 1.9, INTAKE, 64),
    Target("intake", 0.85, INTAKE, 64, against=GROUP_COMMIT),
    Target("intake", 1, INTAKE, 16, against=STARTER),
    Target("intake", 1.4, INTAKE, 64, against=STARTER),
    Target("intake", 15, INTAKE, against=DJSTRIPE),
    Target("intake", 5, INTAKE, against="usual way"),
    Target("intake", 0.25, VIEW),
    Target("drain", 50, "our worker"),
    Target("soak", 50, figure="p99_ms", is_most=True),
    Target("soak", 1, figure="backlog_slope", is_most=True),  # a second; ten minutes would leave a moment's work
    Target("me", 1.3, "ours: by bearer"),
    Target("me", 1.3, "ours: by cookie"),
    Target("plans", 1, "ours: plans"),
    Target("login", 0.95, "ours: login"),
    Target("pages", 1.5, is_most=True),
    Target("flood", 2, "me during the flood", is_most=True),
    Target("admin", 200, figure="median_ms", is_most=True),
    Target("memory", 550, "all", figure="proportional_mb", is_most=True),
)


@dataclass(frozen=True)
class Judgement:
    design: str
    connections: int | None
    figure: str
    against: str
    target: str
    limit: float
    seen: float
    met: bool
    each_run: list[float]


def judge(bench: str, same: Sequence[Row]) -> list[Judgement]:
    """One row, as each run found it, by each target that is of it. What is seen is the median."""
    of_row = [(target, [target.seen(row) for row in same]) for target in TARGETS if target.bench == bench]
    return [_judgement(same[0], target, seen) for target, seen in of_row if None not in seen]


def _judgement(row: Row, target: Target, each_run: list[float]) -> Judgement:
    seen = statistics.median(each_run)
    return Judgement(
        row["design"],
        row.get("connections"),
        target.figure,
        target.against,
        str(target),
        target.limit,
        seen,
        target.is_met_by(seen),
        each_run,
    )
