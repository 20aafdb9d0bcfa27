"""Reports of benchmarks: medians and targets. Nothing is measured."""

import pytest

from saas.tests.benchmarks import reports
from saas.tests.benchmarks.targets import TARGETS, judge


def intake(rps, ratio, **against):
    names = {"group": "bare ASGI group commit", "usual": "usual way"}
    against = {names[name]: value for name, value in against.items()}
    return {"design": "intake", "connections": 64, "rps": rps, "ratio": ratio, "against": against}


BARE = {"design": "bare WSGI insert", "connections": 64, "rps": 1000.0, "ratio": 1.0, "against": {}}


def built(*runs, engine="PostgreSQL"):
    return reports.build("intake", engine=engine, rounds=5, runs=runs)


def test_a_row_shows_its_target_and_whether_it_is_met():
    bare, ours = built([BARE, intake(2100.0, 2.1)])["rows"]

    assert (bare["target"], bare["met"]) == (None, None)
    assert (ours["target"], ours["met"]) == (1.9, True)


def test_targets_against_other_designs_are_listed_for_those_that_ran():
    report = built([BARE, intake(2100.0, 2.1, group=0.8)])

    targets = [(one["against"], one["target"], one["seen"], one["met"]) for one in report["targets"]]
    assert targets == [("", "≥ 1.9", 2.1, True), ("bare ASGI group commit", "≥ 0.85", 0.8, False)]


@pytest.mark.parametrize(("p95_ratio", "is_met"), [(1.9, True), (2.0, True), (2.1, False)])
def test_a_target_may_be_the_most(p95_ratio, is_met):
    (judgement,) = judge("flood", [{"design": "me during the flood", "connections": 4, "ratio": p95_ratio}])

    assert judgement.met is is_met


def test_no_target_is_held_against_the_embedded_engine():
    report = built([BARE, intake(2100.0, 2.1)], engine="SQLite")

    assert report["targets"] == []
    assert "met" not in report["rows"][1]


def test_several_runs_are_reported_one_by_one_and_by_their_median():
    runs = [
        [BARE, intake(rps, ratio, usual=usual)]
        for rps, ratio, usual in [(10.0, 1.8, 4), (30.0, 2.2, 6), (20.0, 2.1, 7)]
    ]

    report = built(*runs)

    ours = report["rows"][1]
    assert (report["times"], ours["rps"], ours["ratio"], ours["each_run"], ours["met"]) == (
        3,
        20.0,
        2.1,
        [1.8, 2.2, 2.1],
        True,
    )
    assert [(one["seen"], one["each_run"]) for one in report["targets"]] == [(2.1, [1.8, 2.2, 2.1]), (6, [4, 6, 7])]
    assert report["runs"] == runs


def test_a_value_that_is_no_number_is_the_last_runs():
    first, last = ([{"design": "both", "backlog": [(0.0, waiting)], "size": 10}] for waiting in (1, 2))

    report = reports.build("startup", engine="SQLite", rounds=1, runs=[first, last])

    assert report["rows"] == [{"design": "both", "backlog": [(0.0, 2)], "size": 10}]


def test_the_table_has_a_line_for_each_row_and_then_one_for_each_target():
    assert reports.text(built([BARE, intake(2100.0, 2.1, group=0.8)])).splitlines() == [
        "design            connections   rps  ratio  target  met",
        "bare WSGI insert           64  1000   1.00       –    –",
        "intake                     64  2100   2.10    1.90  yes",
        "intake × 64: ratio 2.10, target ≥ 1.9: met",
        "intake × 64: ratio against bare ASGI group commit 0.80, target ≥ 0.85: missed",
    ]


def test_a_single_row_is_printed_column_by_column():
    rows = [{"design": "both", "p99_ms": 7.5, "intervals": []}]

    assert (
        reports.text(reports.build("startup", engine="SQLite", rounds=1, runs=[rows])) == "design  both\np99_ms  7.50"
    )


def test_every_target_is_of_a_benchmark_that_there_is():
    from saas.management.commands.bench import BENCHMARKS

    assert {target.bench for target in TARGETS} <= set(BENCHMARKS)
