"""What a benchmark found, as one document and as a table: medians of its runs, with the targets."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from saas.tests.benchmarks.targets import Judgement, judge

Row = dict[str, Any]
Report = dict[str, Any]

_SAME = ("design", "connections", "rows", "part", "name")  # what tells the rows of one run apart
_JUDGED_ENGINE = "PostgreSQL"


def build(bench: str, *, engine: str, rounds: int, runs: Sequence[Sequence[Row]]) -> Report:
    """``rows`` holds the medians of the runs, ``runs`` the rows of each where there are several."""
    matching = _matching(runs)
    judged = [judge(bench, same) if engine == _JUDGED_ENGINE else [] for same in matching]
    rows = [_median_row(same) for same in matching]
    for row, same, judgements in zip(rows, matching, judged, strict=True):
        if len(runs) > 1 and "ratio" in row:
            row["each_run"] = [one["ratio"] for one in same]
        if any(judged):
            row |= _shown(judgements, len(runs))
    report = {"rounds": rounds, "engine": engine, "times": len(runs), "rows": rows}
    report["targets"] = [asdict(judgement) for judgements in judged for judgement in judgements]
    return report if len(runs) == 1 else {**report, "runs": list(runs)}


def _shown(judgements: Sequence[Judgement], times: int) -> Row:
    """Return the first target's columns for its row."""
    if not judgements:
        return {"target": None, "met": None}
    first = judgements[0]
    return {"target": first.limit, "met": first.met} | ({"each_run": first.each_run} if times > 1 else {})


def _matching(runs: Sequence[Sequence[Row]]) -> list[list[Row]]:
    """Row by row of the first run, with what the others found for the same; what one of them lacks is left out."""
    found = [{_identity(row): row for row in run} for run in runs]
    return [[run[key] for run in found] for key in found[0] if all(key in run for run in found)]


def _identity(row: Row) -> tuple[Any, ...]:
    return tuple(row.get(column) for column in _SAME)


def _median_row(same: Sequence[Row]) -> Row:
    return {column: _median([row[column] for row in same]) for column in same[0]}


def _median(values: list[Any]) -> Any:
    """Of each number inside. What is no number is the last run's: a name, or what was seen over time."""
    if isinstance(values[0], dict):
        return {key: _median([value[key] for value in values]) for key in values[0]}
    if all(isinstance(value, float) for value in values):
        return round(statistics.median(values), 3)
    if all(isinstance(value, int) for value in values):
        return statistics.median_low(values)
    return values[-1]


def text(report: Report) -> str:
    """A row of the table for each of the report's, or a line for each column of the only one; then the other targets."""
    columns = [column for column, value in report["rows"][0].items() if not _is_nested(column, value)]
    table = [columns, *([_cell(row.get(column)) for column in columns] for row in report["rows"])]
    lines = _aligned(table if len(report["rows"]) > 1 else list(zip(*table, strict=True)))
    return "\n".join([*lines, *map(sentence, report["targets"])])


def _is_nested(column: str, value: object) -> bool:
    return isinstance(value, list | dict) and column != "each_run"


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """The first column to the left, all others to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in table]


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if value >= 100 else f"{value:.2f}"
    return " ".join(map(_cell, value)) if isinstance(value, list) else str(value)


def sentence(judgement: dict[str, Any]) -> str:
    level = f" × {judgement['connections']}" if judgement["connections"] else ""
    against = f" against {judgement['against']}" if judgement["against"] else ""
    runs = f" ({_cell(judgement['each_run'])})" if len(judgement["each_run"]) > 1 else ""
    met = "met" if judgement["met"] else "missed"
    seen = f"{judgement['figure']}{against} {_cell(judgement['seen'])}{runs}"
    return f"{judgement['design']}{level}: {seen}, target {judgement['target']}: {met}"
