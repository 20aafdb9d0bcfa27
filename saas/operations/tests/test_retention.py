"""Passes along the tables: bounded, complete, and what they tell of themselves."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import DatabaseError, connection
from django.db.models import Q

from saas.operations import metrics
from saas.operations.models import Counter, RetentionProgress
from saas.operations.retention import passes
from saas.operations.retention.rules import DeletionRule, deletion_rules, is_past

NOW = datetime(2030, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.django_db

COUNTERS = next(rule for rule in deletion_rules() if rule.model is Counter)


@pytest.fixture
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    monkeypatch.setattr(passes, "PAGE", 2)


def counters(**minutes):
    """Counters that expire so many minutes from now."""
    rows = [Counter(key=key, value=1, expires_at=NOW + timedelta(minutes=of)) for key, of in minutes.items()]
    Counter.objects.bulk_create(rows)


def left() -> list[str]:
    return list(Counter.objects.order_by("key").values_list("key", flat=True))


def progress() -> RetentionProgress:
    return RetentionProgress.objects.get(table="operations_counter")


def test_a_pass_reaches_every_row_wherever_it_stands(clock) -> None:
    counters(a=5, b=5, c=-1, d=5, e=-1, f=5, g=-1)

    assert passes.delete_expired([COUNTERS]) == 3

    assert left() == ["a", "b", "d", "f"]
    assert (progress().deleted, progress().complete_until, progress().started_at) == (3, NOW, None)


def test_a_run_that_ends_early_is_continued_and_is_behind_until_then(clock, monkeypatch) -> None:
    counters(a=5, b=5, c=-1, d=-1, e=-1)
    one_page = iter([0.0, 0.0, 99.0])
    with monkeypatch.context() as patched:
        patched.setattr(passes.time, "monotonic", lambda: next(one_page))
        passes.delete_expired([COUNTERS])
    clock.shift(timedelta(minutes=3))
    assert (left(), progress().position) == (["a", "b", "c", "d", "e"], "b")
    assert RetentionProgress.objects.lags(NOW + timedelta(minutes=3)) == {"operations_counter": timedelta(minutes=3)}

    passes.delete_expired([COUNTERS])

    assert left() == ["a", "b"]
    assert progress().complete_until == NOW


def test_two_workers_begin_a_tables_first_pass_together(clock) -> None:
    counters(a=-1, b=5)

    def meanwhile(execute, sql, params, many, context):
        if sql.startswith("INSERT") and RetentionProgress._meta.db_table in sql and not others:
            others.append("this one")
            passes.delete_expired([COUNTERS])
        return execute(sql, params, many, context)

    others: list[str] = []
    with connection.execute_wrapper(meanwhile):
        passes.delete_expired([COUNTERS])

    assert others
    assert left() == ["b"]
    assert (progress().complete_until, progress().started_at) == (NOW, None)


def test_the_next_pass_begins_after_a_while_and_from_the_first_row(clock) -> None:
    passes.delete_expired([COUNTERS])
    counters(a=-1)

    clock.shift(COUNTERS.every - timedelta(seconds=1))
    assert passes.delete_expired([COUNTERS]) == 0
    clock.shift(timedelta(seconds=1))
    assert passes.delete_expired([COUNTERS]) == 1
    counters(b=-1)
    assert passes.delete_expired([COUNTERS]) == 0
    assert passes.delete_expired([COUNTERS], only_due=False) == 1


def test_a_clock_that_was_set_back_delays_nothing(clock) -> None:
    passes.delete_expired([COUNTERS])
    counters(a=-100)

    clock.shift(timedelta(minutes=-5))

    assert passes.delete_expired([COUNTERS]) == 1


@pytest.mark.parametrize(("minutes", "expected"), [(0, ["a", "b", "c", "d"]), (2, ["a", "b"])])
def test_of_rows_in_the_order_of_their_time_only_the_oldest_are_read(clock, minutes, expected) -> None:
    read = []
    age = timedelta(minutes=minutes)
    rule = DeletionRule(Counter, lambda keys, now: read.extend(keys) or 0, ordered_by="expires_at", ordered_age=age)
    counters(a=-3, b=-2, c=-1, d=1, e=2, f=3)

    passes.delete_expired([rule])

    assert read == expected
    assert progress().complete_until == NOW


def test_a_table_that_cannot_be_deleted_from_delays_no_other(clock, caplog) -> None:
    def refuse(keys, now):
        raise DatabaseError("canceling statement due to lock timeout")

    counters(a=-1)
    refused = DeletionRule(RetentionProgress, refuse)
    RetentionProgress.objects.create(table="another", complete_until=NOW)

    assert passes.delete_expired([refused, COUNTERS]) == 1

    assert [record.table for record in caplog.records if record.message == "retention_failed"] == [
        "operations_retentionprogress"
    ]
    assert RetentionProgress.objects.get(table="operations_retentionprogress").started_at == NOW


def test_tables_take_turns_so_that_a_backlog_delays_no_other(clock, monkeypatch) -> None:
    turns = []
    counters(a=-1, b=-1, c=-1, d=-1, e=-1)
    rules = [
        DeletionRule(Counter, lambda keys, now: turns.append(keys) or 0),
        DeletionRule(RetentionProgress, lambda keys, now: turns.append("another") or 0),
    ]
    RetentionProgress.objects.create(table="another", complete_until=NOW)

    passes.delete_expired(rules)

    assert turns == [["a", "b"], "another", ["c", "d"], ["e"]]


def test_a_table_that_is_ahead_of_this_clock_is_not_behind(clock) -> None:
    RetentionProgress.objects.create(table="a", complete_until=NOW + timedelta(seconds=5))

    assert RetentionProgress.objects.lags(NOW) == {"a": timedelta(0)}


def test_how_far_behind_each_table_is_and_what_went_are_metrics(clock) -> None:
    RetentionProgress.objects.create(table="a", complete_until=NOW - timedelta(hours=3), deleted=7)

    samples = {
        sample.name: (sample.labels, sample.value) for metric in metrics.read_retention() for sample in metric.samples
    }

    assert samples == {
        "retention_lag_seconds": ({"table": "a"}, 10800.0),
        "retention_deleted_rows_total": ({"table": "a"}, 7),
    }


def test_a_condition_that_is_past_is_so_after_its_age_and_not_before() -> None:
    assert is_past("at", timedelta(days=1))(NOW) == Q(at__lt=NOW - timedelta(days=1))
