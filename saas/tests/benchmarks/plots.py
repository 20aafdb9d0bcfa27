"""Drawings of what a benchmark found, with its targets."""

from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from saas.tests.benchmarks import reports
from saas.tests.benchmarks.targets import TARGETS

Row = dict[str, Any]
Report = dict[str, Any]

_COLORS = {None: "#8c9bb0", True: "#2a7f62", False: "#c4532f"}  # by whether the target is met; None: has none
_ROUNDLESS = ("soak", "memory", "profile")
# Which column the bars are of, and what that is.
_BARS = {
    "intake": ("ratio", "requests a second, times those of the first bar"),
    "drain": ("ratio", "events a second, times those of one event per task"),
    "me": ("ratio", "requests a second, times those of a plain view with the same query"),
    "plans": ("ratio", "requests a second, times those of a plain view with the same query"),
    "login": ("ratio", "logins a second, times the bare hashes"),
    "pages": ("ratio", "time of a page, times that of the API calls that it shows"),
    "flood": ("ratio", "p95, times that of me alone"),
    "memory": ("proportional_mb", "MB resident, what is shared counted once"),
    "startup": ("seconds", "seconds"),
    "profile": ("cpu_us", "microseconds of processor time for a request or event"),
    "admin": ("median_ms", "milliseconds: median, and a mark for the slowest"),
}


def draw(name: str, report: Report, path: str) -> None:
    """Bars for designs side by side; lines over time, and over the number of rows where cost grows."""
    figure = _FIGURES[name](name, report) if name in _FIGURES else _bars(name, report)
    counts = {"rounds": report["rounds"] if name not in _ROUNDLESS else 1, "runs (marks)": report["times"]}
    facts = [f"medians of {count} {what}" for what, count in counts.items() if count > 1]
    subject = f"{name} {report['rows'][0]['design']}" if name == "profile" else name
    facts += [f"{report['rows'][0][what]:,} {what}" for what in ("people", "events") if what in report["rows"][0]]
    figure.suptitle(", ".join([f"bench {subject}, {report['engine']}", *facts]))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _bars(name: str, report: Report) -> Figure:
    column, meaning = _BARS[name]
    rows = [row for row in report["rows"] if row[column] is not None and row.get("part") != "function"]
    figure, axes = plt.subplots(figsize=(9, 1.7 + 0.4 * len(rows)), layout="constrained")
    axes.barh(
        [_label(row) for row in rows], [row[column] for row in rows], color=[_COLORS[row.get("met")] for row in rows]
    )
    for place, row in enumerate(rows):
        _annotate(axes, place, row, column, widest=max(row[column] for row in rows))
    _mark_targets(axes, name, rows)
    axes.margins(x=0.2)
    axes.invert_yaxis()
    others = [reports.sentence(judgement) for judgement in report["targets"] if judgement["against"]]
    axes.set_xlabel("\n".join([meaning, *others]))
    return figure


def _annotate(axes: Any, place: int, row: Row, column: str, widest: float) -> None:
    """The figure to the right of its bar and marks, and of the target where that would be in the way."""
    marks = [row["slowest_ms"]] if "slowest_ms" in row else row.get("each_run", [])
    axes.plot(marks, [place] * len(marks), "|", color="black", markersize=9)
    right = max([row[column], *marks])
    if right < (target := row.get("target") or 0) < right + widest / 4:
        right = target
    axes.annotate(_value(row, column), (right, place), (5, 0), textcoords="offset points", va="center")


def _label(row: Row) -> str:
    return f"{row['design']} × {row['connections']}" if "connections" in row else row.get("name", row["design"])


def _value(row: Row, column: str) -> str:
    if column == "ratio":
        milliseconds = row.get("p95_ms", row.get("page_ms"))
        beside = f"{row['rps']:,.0f}/s" if milliseconds is None else f"{milliseconds:.0f} ms"
        return f"{row['ratio']:.2f} ({beside})"
    return f"{row[column]:.1f}" if row[column] < 100 else f"{row[column]:.0f}"


def _mark_targets(axes: Any, name: str, rows: list[Row]) -> None:
    """One line where all have the same; else a piece of it at each bar."""
    places = {place: row["target"] for place, row in enumerate(rows) if row.get("target") is not None}
    if not places:
        return
    is_common = len(set(places.values())) == 1
    if is_common:
        axes.axvline(next(iter(places.values())), color="black", linestyle="--", linewidth=1.2)
    else:
        for place, target in places.items():
            axes.plot([target, target], [place - 0.46, place + 0.46], color="black", linestyle="--", linewidth=1.2)
    sign = "at most" if next(target for target in TARGETS if target.bench == name).is_most else "at least"
    limit = f" {next(iter(places.values())):g}" if is_common else ""
    kinds = [Line2D([], [], color="black", linestyle="--", label=f"target: {sign}{limit}")]
    seen = {row.get("met") for row in rows}
    kinds += [
        Patch(color=_COLORS[met], label=label) for met, label in ((True, "met"), (False, "missed")) if met in seen
    ]
    axes.figure.legend(handles=kinds, loc="outside lower center", ncols=3, fontsize=9, frameon=False)


def _over_time(name: str, report: Report) -> Figure:
    (row,) = report["rows"]
    figure, (waiting, answers) = plt.subplots(2, 1, figsize=(9, 6.5), sharex=True, layout="constrained")
    waiting.plot(*zip(*row["backlog"], strict=True), color=_COLORS[None])
    waiting.set_ylabel("events that wait")
    waiting.set_ylim(bottom=0)
    waiting.set_title(
        f"offered {row['offered_rps']:,.0f} a second; the backlog grew by {row['backlog_slope']:.1f} a second",
        fontsize=10,
    )
    seconds = [interval["second"] for interval in row["intervals"]]
    for percentile, color in (("p50_ms", _COLORS[None]), ("p99_ms", _COLORS[True])):
        values = [interval[percentile] for interval in row["intervals"]]
        answers.plot(seconds, values, marker=".", color=color, label=f"{percentile[:3]} of each interval")
    answers.axhline(
        row["target"], color="black", linestyle="--", linewidth=1.2, label=f"target: p99 at most {row['target']:g}"
    )
    answers.set_yscale("log")
    answers.yaxis.set_major_formatter("{x:g}")
    answers.set_ylabel("milliseconds to the answer")
    answers.set_xlabel("seconds")
    answers.legend(fontsize=9)
    return figure


def _growth(name: str, report: Report) -> Figure:
    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    axes.set_prop_cycle(color=plt.get_cmap("tab20").colors)
    for design in dict.fromkeys(row["design"] for row in report["rows"]):
        points = [(row["rows"], row["ms"]) for row in report["rows"] if row["design"] == design]
        axes.plot(*zip(*points, strict=True), marker="o", label=design)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("rows in the table")
    axes.set_ylabel("milliseconds")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


_FIGURES: dict[str, Callable[[str, Report], Figure]] = {"scale": _growth, "soak": _over_time}
