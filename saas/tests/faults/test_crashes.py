"""Workers killed, suspended and crashed in the middle of their work lose nothing, and repeat nothing.

Controls run the same test against a faulty system (``fault_injection.py``), where it must detect the fault.
"""

import signal
import time

import pytest

from saas.testing.servers.stack import eventually
from saas.tests.faults.deliveries import fault_event
from saas.tests.faults.webhook_system import short_or_long

pytestmark = [pytest.mark.faults, pytest.mark.slow]


def test_19_killed_workers_and_restarts_lose_and_repeat_nothing(system):
    count = short_or_long(300, 20_000)
    restarts = short_or_long(1, 5)
    # Long enough for each kill to find a worker in the middle of an event, or almost.
    assert system.call("fault_events", count=count, repeats=count * 3 // 10, after=0.02) == count
    started = time.monotonic()

    system.start_processes("worker", short_or_long(4, 12))
    kills = 0
    for _ in range(restarts):
        kills += system.kill_workers_until(system.is_drained, rounds=short_or_long(8, 60))
        system.postgres.restart("immediate")
    kills += system.kill_workers_until(system.is_drained, rounds=short_or_long(10, 10_000))
    system.wait_until_drained()

    seconds = time.monotonic() - started
    system.report_figure(
        f"19: {count} events, {kills} kills, {restarts} restarts, {seconds:.0f} s, {system.outcomes()}"
    )
    assert system.repeated_effects() == []
    assert len(system.effects()) == count
    assert system.statuses() == {"processed": count}
    assert system.outcomes().get("lost", 0) > 0
    assert system.call("differences") == []


@pytest.mark.parametrize("fault", ["mark first", "mark after"])
def test_19_control_the_kills_show_in_a_faulty_system(system, fault):
    count = 200  # enough for more than ten kills: not each hits a worker between the effect and the mark
    system.call("fault_events", count=count, before=0.02, after=0.1)

    system.start_processes("worker", 4, fault=fault)
    kills = system.kill_workers_until(system.is_drained, rounds=60)
    system.wait_until_drained()

    missing, doubled = count - len(system.effects()), system.repeated_effects()
    system.report_figure(f"19, {fault}: {kills} kills, {missing} missing, {len(doubled)} doubled")
    assert missing if fault == "mark first" else doubled


def test_20_suspended_workers_repeat_nothing_when_they_wake(system):
    count = short_or_long(100, 3000)
    system.call("fault_events", count=count, before=0.02)
    system.start_processes("worker", 4)

    stopped = suspend_busy_worker(system)
    system.wait_until_drained()
    system.signal(signal.SIGCONT, stopped)
    terminate_and_wait(system, stopped)

    assert system.repeated_effects() == []
    assert len(system.effects()) == count
    assert outcomes_of(system, stopped)["lost"] > 0


def test_20_control_the_suspension_shows_without_fencing(system):
    system.call("fault_events", count=60, before=0.05)
    system.start_processes("worker", 2, fault="no fence")

    stopped = suspend_busy_worker(system)
    system.wait_until_drained()
    system.signal(signal.SIGCONT, stopped)

    system.wait_until(system.repeated_effects)


def test_21_an_effect_suspended_midway_is_done_elsewhere_once(system):
    system.call("fault_events", count=1, after=1.0)
    system.start_processes("worker", 2)
    at_work = "SELECT worker FROM webhook_events_webhookattempt WHERE outcome = 'running'"
    eventually(lambda: system.sql(at_work))
    stopped = [int(system.sql(at_work)[0][0].rpartition(":")[2])]
    system.signal(signal.SIGSTOP, stopped)

    system.wait_until_drained()
    system.signal(signal.SIGCONT, stopped)
    terminate_and_wait(system, stopped)

    assert system.effects() == {"evt_0": 1}
    assert system.outcomes() == {"lost": 1, "processed": 1}


def test_22_crashes_before_the_commit_leave_no_half_effect(system):
    count = short_or_long(45, 1000)
    others = [fault_event(f"good_{number}") for number in range(count) if number % 3]
    crashing = [fault_event(f"crash_{number}", dies_in_attempts=[1, 2]) for number in range(count) if not number % 3]
    system.call("store", payloads=[*others, *crashing])

    system.start_processes("worker", 4)
    system.wait_until_drained()

    failed = set(system.sql("SELECT external_id FROM webhook_events_webhookevent WHERE status = 'failed'"))
    assert failed == set()
    assert len(system.effects()) == count
    assert system.repeated_effects() == []
    assert system.outcomes()["lost"] >= len(crashing)


def test_30_an_event_that_kills_its_workers_becomes_a_dead_letter(system):
    system.call(
        "store",
        payloads=[fault_event("poison_0", poison=True), *(fault_event(f"good_{number}") for number in range(40))],
    )

    system.start_processes("worker", 2)
    system.wait_until_drained()

    state = system.sql("SELECT status, last_error FROM webhook_events_webhookevent WHERE external_id = 'poison_0'")
    assert state == [("failed", "dead letter: its worker crashed 3 times")]
    alone = "SELECT count(*) FROM webhook_events_webhookattempt WHERE outcome = 'lost' AND solo"
    assert system.sql(alone) == [(3,)]
    assert system.effects() == {f"good_{number}": 1 for number in range(40)}


def test_31_whatever_a_handler_does_the_event_ends_as_it_should(system):
    instructions = {
        "error": {"raises": "error"},
        "permanent": {"raises": "permanent"},
        "ignore": {"raises": "ignore"},
        "endless": {"endless": True},
    }
    system.call(
        "store", payloads=[fault_event(f"{name}_0", **instruction) for name, instruction in instructions.items()]
    )

    system.start_processes("worker", 2, fault="short effect limit")
    tried = "SELECT count(DISTINCT event_id) FROM webhook_events_webhookattempt WHERE outcome IN ('failed', 'ignored')"
    system.wait_until(lambda: system.sql(tried) == [(3,)])

    rows = system.sql(
        "SELECT external_id, status, failures, split_part(last_error, ':', 1) FROM webhook_events_webhookevent"
        " WHERE external_id <> 'endless_0' ORDER BY 1"
    )
    assert rows == [
        ("error_0", "retry_scheduled", 1, "ValueError"),
        ("ignore_0", "ignored", 0, "Ignore"),
        ("permanent_0", "failed", 1, "Permanent"),
    ]
    waits = """
        SELECT extract(epoch FROM event.next_attempt_at - attempt.finished_at)::float
        FROM webhook_events_webhookevent event JOIN webhook_events_webhookattempt attempt ON attempt.event_id = event.id
        WHERE event.status = 'retry_scheduled' AND attempt.outcome = 'failed'
    """
    assert all(10 <= wait <= 11.5 for (wait,) in system.sql(waits))
    state = "SELECT status, last_error FROM webhook_events_webhookevent WHERE external_id = 'endless_0'"
    system.wait_until(lambda: system.sql(state) == [("failed", "dead letter: its worker crashed 3 times")])
    assert system.effects() == {}


def suspend_busy_worker(system):
    """Suspend a worker that holds several claims, and is therefore in the middle of a batch; return its process id."""
    held = "SELECT worker, count(*) FROM webhook_events_webhookattempt WHERE outcome = 'running' GROUP BY worker"
    found = []

    def stopped():
        for worker, claims in system.sql(held):
            pid = int(worker.rpartition(":")[2])
            if claims > 3:
                system.signal(signal.SIGSTOP, [pid])
                if dict(system.sql(held)).get(worker, 0) > 3:
                    found.append(pid)
                    return True
                system.signal(signal.SIGCONT, [pid])
        return False

    eventually(stopped, 30)
    return found


def terminate_and_wait(system, pids):
    """Ask resumed workers to end, and wait: they have looked for work again by then."""
    system.signal(signal.SIGTERM, pids)
    eventually(lambda: not set(pids) & set(system.pids("worker")), 30)


def outcomes_of(system, pids):
    query = "SELECT outcome, count(*)::int FROM webhook_events_webhookattempt WHERE worker LIKE %s GROUP BY outcome"
    return dict(system.sql(query, f"%:{pids[0]}"))
