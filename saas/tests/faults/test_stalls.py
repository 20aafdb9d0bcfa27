"""Stalls and refusals that kill no process: afterwards every worker works again, without a restart by hand.

Controls run the same test against a faulty system (``fault_injection.py``), where it must detect the fault.
"""

import os
import re
import signal
import time
from contextlib import contextmanager, suppress

import psycopg
import pytest

from saas.testing.servers.engines import child_pids
from saas.testing.servers.stack import eventually
from saas.tests.faults.webhook_system import DATABASE

pytestmark = [pytest.mark.faults, pytest.mark.slow]

SLOW_COMMIT = """
CREATE FUNCTION slow_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.8); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON fault_effect DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION slow_commit();
"""
COMMITTING = "SELECT count(*) FROM pg_stat_activity WHERE query = 'COMMIT' AND state = 'active'"
CUT_OFF = re.compile("closing returned connection|discarding closed connection")  # the pool's own words
SWEEPS = "SELECT runs::int FROM operations_scheduledtask WHERE name = 'sweep webhook events'"


def start_slow_commits(system, fault):
    """Run three effects whose COMMIT takes longer than the alarm; return in the first of them."""
    system.sql(SLOW_COMMIT)
    system.call("fault_events", count=3)
    system.start_processes("celery", fault=fault, concurrency=1)
    system.start_processes("beat")
    system.wait_until(lambda: system.sql(COMMITTING) == [(1,)])


def test_41_a_slow_commit_stops_no_worker(system):
    start_slow_commits(system, "")
    time.sleep(0.5)
    system.sql("DROP TRIGGER slow_commit ON fault_effect")
    system.call("fault_events", count=3, prefix="later")

    system.wait_until_drained()
    assert not CUT_OFF.search(system.text)
    assert system.effects() == {f"{prefix}_{number}": 1 for prefix in ("evt", "later") for number in range(3)}


def test_41_control_an_alarm_inside_the_commit_shows(system):
    """The worker may recover or not: either way a connection was returned in the middle of its COMMIT."""
    start_slow_commits(system, "alarm")

    system.wait_until(lambda: CUT_OFF.search(system.text))


def sessions_at_work(system, fault):
    """Return the sessions of a worker in the middle of its effects; new sessions would be served."""
    system.call("fault_events", count=12, after=0.3)
    system.start_processes("worker", fault=fault)
    system.wait_until(system.effects)
    system.call("fault_events", count=2, prefix="meanwhile")
    query = "SELECT pid FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
    return [pid for (pid,) in system.sql(query, DATABASE)]


@pytest.mark.parametrize("fault", ["", "wait for ever"], ids=["sound", "control: waits for ever"])
def test_42_sessions_hanging_on_a_disk_block_no_other(system, fault):
    sessions = sessions_at_work(system, fault)
    with stopped(sessions):
        is_done = within(10, lambda: {"meanwhile_0", "meanwhile_1"} <= set(system.effects()))

    assert is_done is (fault == "")
    if not fault:
        system.wait_until_drained()
        assert len(system.effects()) == 14
        assert system.repeated_effects() == []


def test_43_a_paused_database_is_used_again_when_it_resumes(system):
    system.call("fault_events", count=30, after=0.1)
    system.start_processes("worker", 2)
    system.wait_until(system.effects)

    system.postgres.freeze()
    time.sleep(5)  # longer than any wait for an answer
    system.postgres.thaw()
    system.wait_until_drained()

    assert len(system.effects()) == 30
    assert system.repeated_effects() == []


def test_44_a_stopped_child_is_detected_while_its_worker_lives(system):
    (parent,) = system.start_processes("celery")
    system.start_processes("beat")
    eventually(lambda: len(alive_workers(system)) == 2)
    asleep = child_pids(parent)[0]
    system.call("fault_events", count=60, after=0.4)

    with stopped([asleep]):
        system.wait_until(lambda: system.call("worker_health").endswith(f":{asleep}"))
        alive = "SELECT clock_timestamp() - at < interval '10 seconds' FROM operations_heartbeat WHERE name = 'worker'"
        assert system.sql(alive) == [(True,)]  # the control: the shared heartbeat shows nothing
    system.wait_until(lambda: system.call("worker_health") == "ok")


def test_44_a_killed_child_is_replaced_and_forgotten(system):
    (parent,) = system.start_processes("celery")
    system.start_processes("beat")
    eventually(lambda: len(alive_workers(system)) == 2)
    killed = child_pids(parent)[0]

    system.signal(signal.SIGKILL, [killed])

    eventually(lambda: len(alive_workers(system)) == 2 and killed not in alive_workers(system))
    assert system.pids("celery") == [parent]
    system.call("fault_events", count=20)
    system.wait_until_drained()


@pytest.mark.parametrize("fault", ["", "believe the clock"], ids=["sound", "control: believes the clock"])
def test_45_a_database_whose_clock_steps_back_goes_on_being_swept(system, fault):
    system.start_processes("beat", fault=fault)
    eventually(lambda: system.sql(SWEEPS) > [(0,)])

    system.sql("UPDATE operations_scheduledtask SET slot = slot + interval '2 hours'")
    ((before,),) = system.sql(SWEEPS)

    assert within(4, lambda: system.sql(SWEEPS)[0][0] > before + 1) is (fault == "")


@pytest.mark.parametrize("fault", ["", "end with connections", "keep connections"])
def test_46_a_primary_turned_read_only_costs_no_attempt_and_is_left(system, fault):
    """Sessions opened meanwhile stay read-only, like those to an old primary. A process that cannot discard them ends after
    some failures and is replaced; one that does neither (the control) never works again."""
    before = system.start_processes("worker", fault=fault)
    eventually(lambda: alive_workers(system))
    settings_of_new_sessions(system, "SET default_transaction_read_only = on")
    system.postgres.terminate_other_sessions(DATABASE)
    time.sleep(2)
    settings_of_new_sessions(system, "RESET default_transaction_read_only")

    system.call("fault_events", count=5)

    if fault == "keep connections":
        assert not is_drained_within(system, 4)
        return
    system.wait_until_drained()
    assert system.sql("SELECT sum(failures)::int FROM webhook_events_webhookevent") == [(0,)]
    assert fault == "" or system.pids("worker") != before
    assert system.effects() == {f"evt_{number}": 1 for number in range(5)}


def test_47_a_redis_that_is_a_replica_full_and_gone_ends_no_worker(system):
    workers = system.start_processes("celery", 1)
    system.start_processes("beat")
    eventually(lambda: len(alive_workers(system)) == 2)

    for number, fault in enumerate([a_replica, full, gone]):
        with fault(system.redis):
            system.call("fault_events", count=5, prefix=f"during_{number}")
            time.sleep(2.5)
        system.wait_until_drained()

    assert system.pids("celery") == workers
    assert len(system.effects()) == 15
    assert system.repeated_effects() == []


def test_47_control_celerys_default_ends_the_worker(system):
    workers = system.start_processes("celery", 1, fault="end with the broker")
    eventually(lambda: len(alive_workers(system)) == 2)

    with a_replica(system.redis):
        eventually(lambda: system.pids("celery") != workers)


@pytest.mark.parametrize("fault", ["", "claim nothing"], ids=["sound", "control: claims nothing"])
def test_49_three_beats_killed_again_and_again_send_each_sweep_once(system, fault):
    system.start_processes("beat", 3, fault=fault)
    eventually(lambda: system.sql(SWEEPS))
    system.redis.client.delete("celery")
    system.sql("UPDATE operations_scheduledtask SET runs = 0")
    started = time.monotonic()

    for turn in range(3):
        time.sleep(1.5)
        system.signal(signal.SIGTERM, [system.pids("beat")[turn]])
    time.sleep(0.5)
    seconds = time.monotonic() - started
    sent = sum(b"webhook_events.tasks.sweep" in message for message in system.redis.client.lrange("celery", 0, -1))

    if fault:
        assert sent > seconds + 2
        return
    assert seconds - 2 <= sent <= seconds + 2


# ── Helpers ───────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def stopped(pids):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):  # the server has ended this session
                os.kill(pid, signal.SIGCONT)


@contextmanager
def a_replica(redis):
    redis.client.execute_command("REPLICAOF", "127.0.0.1", "1")
    yield
    redis.client.execute_command("REPLICAOF", "NO", "ONE")


@contextmanager
def full(redis):
    redis.client.config_set("maxmemory", "1")
    yield
    redis.client.config_set("maxmemory", "0")


@contextmanager
def gone(redis):
    redis.kill()
    yield
    redis.start()


def settings_of_new_sessions(system, change):
    with psycopg.connect(system.postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {DATABASE} {change}")


def alive_workers(system):
    """Return the process ids of the workers that report themselves alive."""
    return {int(name.rpartition(":")[2]) for (name,) in system.sql("SELECT name FROM operations_workerprocess")}


def within(seconds, is_true):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if is_true():
            return True
        time.sleep(0.1)
    return False


def is_drained_within(system, seconds):
    return within(seconds, system.is_drained)
