"""Drawings of what a benchmark found."""

from typing import Any

import matplotlib.pyplot as plt


def draw(name: str, report: dict[str, Any], path: str) -> None:
    """Bars for designs side by side; lines over the number of rows where it grows."""
    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    if "rows" in report["rows"][0]:
        _lines(axes, report["rows"])
    else:
        _bars(axes, report["rows"])
    axes.set_title(f"{name}, {report['engine']}, median of {report['rounds']} rounds")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _bars(axes: Any, rows: list[dict[str, Any]]) -> None:
    value = next(key for key in ("rps", "proportional_mb", "seconds", "median_ms") if key in rows[0])
    labels = [f"{row['design']} × {row['connections']}" if "connections" in row else row["design"] for row in rows]
    bars = axes.barh(labels, [row[value] for row in rows])
    axes.bar_label(bars, fmt="%.0f", padding=3)
    axes.invert_yaxis()
    axes.set_xlabel({"rps": "per second", "proportional_mb": "MB", "median_ms": "milliseconds"}.get(value, value))


def _lines(axes: Any, rows: list[dict[str, Any]]) -> None:
    axes.set_prop_cycle(color=plt.get_cmap("tab20").colors)
    for design in dict.fromkeys(row["design"] for row in rows):
        points = [(row["rows"], row["ms"]) for row in rows if row["design"] == design]
        axes.plot(*zip(*points, strict=True), marker="o", label=design)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("rows in the table")
    axes.set_ylabel("milliseconds")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
