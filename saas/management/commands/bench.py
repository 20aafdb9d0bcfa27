"""``manage.py bench intake``: how fast, against what. Starts what it needs; see ``saas/tests/benchmarks``."""

import json
import logging
import time
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.module_loading import import_string

# Which function of ``saas.tests.benchmarks`` measures it.
BENCHMARKS = {
    "intake": "intake.run",
    "drain": "drain.run",
    "me": "reading.me",
    "plans": "reading.plans",
    "login": "reading.login",
    "scale": "scale.run",
    "memory": "footprint.memory",
    "startup": "footprint.startup",
    "flood": "flood.run",
    "admin": "admin.run",
    "soak": "soak.run",
}
# What only some of them take, beside rounds and seconds.
OPTIONS = {"intake": {"others"}, "admin": {"size"}, "scale": {"size"}, "soak": {"minutes"}}


class Command(BaseCommand):
    help = "Measures a part of the system against yardsticks, in alternating rounds. Compare ratios of one run only."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", choices=BENCHMARKS)
        parser.add_argument("--rounds", type=int, default=5)
        parser.add_argument("--seconds", type=float, default=2.0, help="For each design in each round (2).")
        parser.add_argument(
            "--others",
            action="store_true",
            default=None,
            help="intake: also the public starter and dj-stripe, each in an environment that is made once.",
        )
        parser.add_argument("--minutes", type=float, help="soak: how long the load lasts (10).")
        parser.add_argument(
            "--size",
            type=int,
            help="admin: how many people (100000); ten events for each. scale: the most rows of a table (1000000).",
        )
        parser.add_argument("--json", action="store_true", help="Standard output is one JSON document.")
        parser.add_argument("--plot", metavar="FILE", help="Draw the rows into this PNG or SVG file.")

    def handle(self, *, name: str, rounds: int, seconds: float, **options: Any) -> None:
        from saas.tests.benchmarks.stage import stage  # after Django is set up

        chosen = _chosen(name, options)
        logging.getLogger("httpx").setLevel(logging.WARNING)
        started = time.monotonic()
        with stage() as made:
            self.stderr.write(f"{name} on {made.engine}")
            run = import_string(f"saas.tests.benchmarks.{BENCHMARKS[name]}")
            rows = run(made, rounds=rounds, seconds=seconds, say=self.stderr.write, **chosen)
            report = {"rounds": rounds, "engine": made.engine, "rows": [asdict(row) for row in rows]}
        self.stderr.write(f"took {time.monotonic() - started:.0f} s")
        self._show(report, is_json=options["json"])
        if options["plot"]:
            from saas.tests.benchmarks.plots import draw

            draw(name, report, options["plot"])

    def _show(self, report: dict[str, Any], *, is_json: bool) -> None:
        if is_json:
            self.stdout.write(json.dumps(report))
            return
        columns = list(report["rows"][0])
        table = [columns, *([_text(row[column]) for column in columns] for row in report["rows"])]
        widths = [max(len(line[index]) for line in table) for index in range(len(columns))]
        for line in table:
            cells = [cell.ljust(width) if index == 0 else cell.rjust(width)
                     for index, (cell, width) in enumerate(zip(line, widths, strict=True))]  # fmt: skip
            self.stdout.write("  ".join(cells))


def _chosen(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given beside those of every benchmark."""
    given = {option: options[option] for option in set().union(*OPTIONS.values()) if options[option] is not None}
    if strange := given.keys() - OPTIONS.get(name, set()):
        raise CommandError(f"bench {name} has no --{', --'.join(sorted(strange))}.")
    return given


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if value >= 100 else f"{value:.2f}"
    return "–" if value is None else str(value)
