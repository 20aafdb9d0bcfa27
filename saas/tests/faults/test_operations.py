"""Bulk replays that race and are cancelled, a worker whose clock is wrong, and a sweep that dies."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from saas.tests.faults.deliveries import fault_events, percentile, post_timed
from saas.tests.faults.webhook_system import short_or_long

pytestmark = [pytest.mark.faults, pytest.mark.slow]


def test_36_eight_bulk_replays_race_and_one_is_cancelled_halfway(system):
    count = short_or_long(350, 18_000)
    system.call("fault_events", count=count, after=0.04)
    system.start_processes("worker", 4)
    system.wait_until_drained()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: system.call("replay_many", conditions={"type": "fault.*"}), range(8)))
    (batch_id,) = [answer for answer in answers if answer != "replay_running"]
    system.wait_until(lambda: progress(system, batch_id)[1] >= min(100, count // 2))
    replayed = system.call("cancel", batch_id=batch_id)
    assert system.call("fault_events", count=5, prefix="live") == 5
    system.wait_until_drained()

    assert replayed < count
    assert progress(system, batch_id)[1] == replayed
    counts = "SELECT replay_count, count(*)::int FROM webhook_events_webhookevent GROUP BY 1 ORDER BY 1"
    expected = {0: count + 5 - replayed, 1: replayed}
    assert dict(system.sql(counts)) == {times: number for times, number in expected.items() if number}
    assert system.effects().total() == count + 5 + replayed
    assert {f"live_{number}" for number in range(5)} <= set(system.effects())
    started = "SELECT count(*) FROM audit_auditevent WHERE action = 'replay_batch.started'"
    assert system.sql(started) == [(1,)]
    system.report_figure(f"36: {replayed} of {count} replayed when canceled")


def test_36_live_deliveries_are_processed_during_a_bulk_replay(system, record_property):
    count, live = short_or_long(300, 18_000), short_or_long(30, 200)
    system.serve()
    system.call("fault_events", count=count, after=0.004)
    system.start_processes("worker", 2)
    system.wait_until_drained()

    quiet = [p95(system, prefix, live) for prefix in ("warm", "quiet")][1]
    batch_id = system.call("replay_many", conditions={"type": "fault.*"})
    during = p95(system, "during", live)
    replayed = progress(system, batch_id)[1]
    system.wait_until(lambda: progress(system, batch_id)[0] == "done")
    system.wait_until_drained()

    assert system.statuses() == {"processed": count + 3 * live}
    assert {f"during_{number}" for number in range(live)} <= set(system.effects())
    figures = f"quiet {quiet}, during a replay {during}, {replayed} replayed meanwhile"
    record_property("p95 of live deliveries: answered, done", figures)
    system.report_figure(f"36: p95 of live deliveries: {figures}")


def p95(system, prefix, count):
    """Post ten a second; return the 95th percentiles until the answer and until the effect, as a text."""
    _, took = post_timed(system, fault_events(count, prefix, after=0.004), pause_seconds=0.1)
    system.wait_until(lambda: f"{prefix}_{count - 1}" in system.effects())
    done = """
        SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM processed_at - received_at))
        FROM webhook_events_webhookevent WHERE external_id LIKE %s AND processed_at IS NOT NULL
    """
    return f"{percentile(took, 95) * 1000:.0f} ms and {system.sql(done, prefix + '%')[0][0] * 1000:.0f} ms"


def test_39_a_clock_ahead_and_a_dead_sweep_raise_alerts(system):
    system.serve()
    system.call("store", payloads=fault_events(1, raises="error"))
    system.start_processes("worker", 2, fault="clock ahead")
    system.wait_until(lambda: "clock" in system.call("open_alerts"))

    wait = "SELECT extract(epoch FROM next_attempt_at - statement_timestamp())::float FROM webhook_events_webhookevent"
    assert -1 < system.sql(wait)[0][0] < 12
    system.wait_until(lambda: worker_is(system, "ok"))
    system.kill_processes("worker")
    system.sql("UPDATE operations_heartbeat SET at = at - interval '20 seconds'")  # so that the test waits five, not 25
    system.wait_until(lambda: worker_is(system, "failed"))

    ready = httpx.get(f"{system.url}/health/ready", timeout=10, trust_env=False)
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    metrics = httpx.get(f"{system.url}/metrics", timeout=10, trust_env=False).text
    assert 'webhook_alarms{kind="sweep"} 1.0' in metrics
    assert "sweep" in system.call("open_alerts")


def progress(system, batch_id):
    ((state, replayed),) = system.sql("SELECT state, replayed FROM webhook_events_replaybatch WHERE id = %s", batch_id)
    return state, replayed


def worker_is(system, status):
    answer = httpx.get(f"{system.url}/health/ready", timeout=10, trust_env=False).json()
    return answer["dependencies"]["worker"]["status"] == status
