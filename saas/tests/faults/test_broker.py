"""The broker refused, frozen, flushed and restarted: messages only notify, so nothing depends on them."""

import time

import pytest

from saas.tests.faults.deliveries import fault_events, percentile, post_timed
from saas.tests.faults.webhook_system import short_or_long

pytestmark = [pytest.mark.faults, pytest.mark.slow]


def test_23_without_a_broker_everything_is_accepted_and_polling_goes_on(system):
    system.redis.kill()
    system.serve()
    count = short_or_long(60, 500)

    statuses, took = post_timed(system, fault_events(count))
    system.start_processes("worker")
    system.wait_until_drained()

    assert statuses == {202}
    assert len(system.effects()) == count
    system.report_figure(f"23: {count} posts without Redis, p99 {percentile(took, 99) * 1000:.0f} ms")


def test_24_a_frozen_broker_slows_one_request_and_fails_none(system, record_property):
    system.serve()
    system.redis.freeze()
    count, pause_seconds = short_or_long(60, 600), short_or_long(0, 1) / 10  # the long form lasts the whole minute
    try:
        started = time.monotonic()
        statuses, took = post_timed(system, fault_events(count), pause_seconds)
        seconds = time.monotonic() - started
    finally:
        system.redis.thaw()

    windows = seconds // 5 + 1
    assert statuses == {202}
    assert (
        sum(seconds > 0.4 for seconds in took) <= 2 * windows
    )  # the circuit breaker opens; two notified at the same time
    system.start_processes("worker")
    system.wait_until_drained()
    assert len(system.effects()) == count
    figures = (
        f"{count} posts in {seconds:.0f} s, slowest {max(took) * 1000:.0f} ms, p99 {percentile(took, 99) * 1000:.0f} ms"
    )
    record_property("posts to a frozen Redis", figures)
    system.report_figure(f"24: {figures}")


def test_25_26_a_broker_that_is_emptied_and_restarted_loses_no_event(system):
    count = short_or_long(150, 5000)
    system.start_processes("celery", 2)
    system.start_processes("beat")
    system.call("fault_events", count=count, after=0.01)

    system.wait_until(lambda: len(system.effects()) > 20)
    system.redis.client.flushall()
    system.redis.kill()
    system.redis.start()
    system.wait_until_drained()
    assert system.call("fault_events", count=5, prefix="later") == 5
    system.wait_until_drained()

    assert system.repeated_effects() == []
    assert len(system.effects()) == count + 5


def test_29_a_hundred_notifications_of_one_event_have_one_effect(system):
    system.start_processes("celery", 2)
    system.call("fault_events", count=1, before=0.2)

    assert system.call("notify", ids=[1] * 100 + [10**12] * 100) == 200
    system.wait_until_drained()
    system.wait_until(lambda: system.redis.client.llen("celery") == 0)

    assert system.effects() == {"evt_0": 1}
    assert system.statuses() == {"processed": 1}


def test_polling_workers_and_celery_share_the_work(system):
    count = short_or_long(100, 2000)
    system.start_processes("celery")
    system.start_processes("worker")

    system.call("fault_events", count=count, after=0.01)
    system.wait_until_drained()

    assert system.repeated_effects() == []
    assert len(system.effects()) == count
