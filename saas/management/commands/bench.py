"""``manage.py bench intake``: run a benchmark against baselines, with all servers that it needs (``saas/tests/benchmarks``)."""

import json
import logging
import time
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.module_loading import import_string

from saas.tests import benchmarks
from saas.tests.benchmarks import reports
from saas.tests.benchmarks.environment import running_environment
from saas.tests.benchmarks.profiler.running import DESIGNS
from saas.tests.benchmarks.virtual_environments import EnvironmentUnavailable, require_module

# The function of ``saas.tests.benchmarks`` that measures it.
BENCHMARKS = {
    "intake": "intake.run",
    "drain": "drain.run",
    "me": "read_requests.me",
    "plans": "read_requests.plans",
    "login": "read_requests.login",
    "pages": "pages.run",
    "scale": "scale.run",
    "memory": "footprint.memory",
    "startup": "footprint.startup",
    "flood": "flood.run",
    "admin": "admin.run",
    "soak": "soak.run",
    "profile": "profiler.running.run",
}
# Options besides rounds and seconds.
OPTIONS = {"intake": {"others"}, "admin": {"size"}, "scale": {"size"}, "soak": {"minutes"}, "profile": {"design"}}


class Command(BaseCommand):
    help = "Measure a part of the system against baselines, in alternating rounds. Compare ratios of one run only."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", choices=BENCHMARKS)
        parser.add_argument("design", nargs="?", choices=DESIGNS, help="profile: what to look into (intake).")
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
        parser.add_argument("--times", type=int, default=1, help="So often anew, from an empty database; medians (1).")
        parser.add_argument("--json", action="store_true", help="Standard output is one JSON document.")
        parser.add_argument("--plot", metavar="FILE", help="Draw the rows into this PNG or SVG file.")

    def handle(self, *, name: str, rounds: int, seconds: float, times: int, **options: Any) -> None:
        chosen = _chosen(name, options)
        if options["plot"]:
            _require_plotting()
        logging.getLogger("httpx").setLevel(logging.WARNING)
        started = time.monotonic()
        run = import_string(f"saas.tests.benchmarks.{BENCHMARKS[name]}")
        runs = []
        for number in range(times):
            with running_environment() as made:  # one of its own: no run has what another left behind
                self.stderr.write(f"{name} on {made.engine}, run {number + 1} of {times}")
                rows = run(made, rounds=rounds, seconds=seconds, say=self.stderr.write, **chosen)
                runs.append([asdict(row) for row in rows])
        report = reports.build(name, engine=made.engine, rounds=rounds, runs=runs)
        self.stderr.write(f"took {time.monotonic() - started:.0f} s")
        self.stdout.write(json.dumps(report) if options["json"] else reports.text(report))
        if options["plot"]:
            from saas.tests.benchmarks.plots import draw  # only now: matplotlib need not be there

            draw(name, report, options["plot"])


def _require_plotting() -> None:
    """Before anything is measured: see to matplotlib, a development requirement."""
    try:
        require_module("matplotlib", "plotting", Path(benchmarks.__file__).parent)
    except EnvironmentUnavailable as error:
        raise CommandError(f"--plot needs matplotlib, which could not be installed ({error}).") from error


def _chosen(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the given options of this benchmark; raise CommandError for one of another benchmark."""
    given = {option: options[option] for option in set().union(*OPTIONS.values()) if options[option] is not None}
    if unknown := given.keys() - OPTIONS.get(name, set()):
        names = ["design to choose" if option == "design" else f"--{option}" for option in sorted(unknown)]
        raise CommandError(f"bench {name} has no {', '.join(names)}.")
    return given
