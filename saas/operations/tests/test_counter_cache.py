"""The counters of rate limits in the database: of a window the first request begins it, and the others count."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from saas.operations.counter_cache import DatabaseCounterCache
from saas.operations.health import RATE_LIMITING
from saas.operations.models import Counter

pytestmark = pytest.mark.django_db


@pytest.fixture
def counters() -> DatabaseCounterCache:
    return DatabaseCounterCache("", {})


@pytest.fixture
def _limits_in_the_database(settings) -> None:
    limits = {"BACKEND": "saas.operations.counter_cache.DatabaseCounterCache"}
    settings.CACHES = {**settings.CACHES, "limits": limits}


def test_only_the_first_begins_a_window_and_the_others_count(counters: DatabaseCounterCache) -> None:
    assert [counters.add("login", 1, 60), counters.add("login", 1, 60)] == [True, False]

    assert [counters.incr("login"), counters.incr("login", 5), counters.get("login")] == [2, 7, 7]


def test_a_window_that_is_over_begins_anew_and_its_row_goes(counters: DatabaseCounterCache) -> None:
    counters.add("login", 9, 60)
    counters.add("registration", 9, 60)

    with time_machine.travel(timezone.now() + timedelta(seconds=61), tick=False):
        assert counters.get("login") is None
        assert counters.add("login", 1, 60)
        assert list(Counter.objects.values_list("key", "value")) == [(counters.make_key("login"), 1)]


@pytest.mark.usefixtures("_limits_in_the_database")
def test_the_health_check_counts_and_leaves_no_counter_behind() -> None:
    RATE_LIMITING.check()

    assert not Counter.objects.exists()


@pytest.mark.usefixtures("_limits_in_the_database")
def test_a_counter_that_loses_a_count_is_out_of_order(monkeypatch) -> None:
    monkeypatch.setattr(DatabaseCounterCache, "incr", lambda *_: 1)

    with pytest.raises(RuntimeError, match="lost a count"):
        RATE_LIMITING.check()


def test_what_nothing_began_is_not_counted(counters: DatabaseCounterCache) -> None:
    with pytest.raises(ValueError, match="not found"):
        counters.incr("login")
