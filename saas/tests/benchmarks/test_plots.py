"""Each benchmark's rows can be drawn. How the drawings look is for people to see."""

import pytest

from saas.management.commands.bench import BENCHMARKS
from saas.tests.benchmarks import reports

pytest.importorskip("matplotlib", reason="with what linters and the longer tests need")

COMPARED = [
    {"design": "theirs", "connections": 4, "rps": 10.0, "p95_ms": 5.0, "ratio": 1.0, "against": {}},
    {"design": "ours", "connections": 4, "rps": 20.0, "p95_ms": 9.0, "ratio": 2.0, "against": {}},
    {"design": "others", "connections": 4, "rps": 5.0, "p95_ms": 9.0, "ratio": None, "against": {}},
]
ROWS = dict.fromkeys(["intake", "drain", "me", "plans", "login", "flood"], COMPARED) | {
    "scale": [{"design": "claim", "rows": rows, "ms": 1.5} for rows in (10, 100)],
    "memory": [{"design": design, "proportional_mb": 80.5} for design in ("beat", "all")],
    "profile": [{"design": "me", "part": part, "name": "Django", "cpu_us": 5.0} for part in ("whose", "function")],
    "pages": [{"design": "/account", "calls": 2, "page_ms": 9.0, "calls_ms": 6.0, "ratio": 1.5, "page_kb": 30.0}],
    "startup": [{"design": "product", "seconds": 1.5}],
    "admin": [{"design": "stats", "people": 10, "events": 100, "median_ms": 250.0, "slowest_ms": 300.0}],
    "soak": [
        {"design": "both", "connections": 64, "offered_rps": 100.0, "p99_ms": 60.0, "backlog_slope": 0.0}
        | {"backlog": [(0.0, 1), (2.0, 0)], "intervals": [{"second": 0.0, "p50_ms": 5.0, "p99_ms": 60.0}]},
    ],
}


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_is_drawn(name, times, tmp_path):
    from saas.tests.benchmarks.plots import draw

    report = reports.build(name, engine="PostgreSQL", rounds=5, runs=[ROWS[name]] * times)
    draw(name, report, str(tmp_path / "drawing.png"))

    assert (tmp_path / "drawing.png").read_bytes().startswith(b"\x89PNG")
