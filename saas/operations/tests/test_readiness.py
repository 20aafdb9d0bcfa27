"""Who asks whether a service is ready is answered at once, whatever is silent."""

import os
from threading import Event
from threading import enumerate as threads
from time import monotonic, sleep

import pytest

from saas.operations.readiness import Dependency, ReadinessMonitor
from saas.testing.servers.stack import eventually

AT_ONCE = 0.5  # seconds; 0.1 on a machine with nothing else to do


def dependency(name, check, every_seconds=0.02, deadline_seconds=0.5, resource=""):
    return Dependency(name, check, resource or name, every_seconds=every_seconds, deadline_seconds=deadline_seconds)


def fine():
    return "answers"


def fails():
    raise RuntimeError("refused")


def asked(monitor):
    """Who is well, and how long it took to be told."""
    started = monotonic()
    states = monitor.states()
    return {name: state.is_ok for name, state in states.items()}, monotonic() - started


@pytest.fixture
def silent():
    """A check that hangs until the test is over."""
    is_over = Event()
    yield is_over.wait
    is_over.set()


def test_the_first_who_asks_is_told_what_was_seen_just_now():
    states, took = asked(
        ReadinessMonitor([dependency("a", fine), dependency("b", fails), dependency("c", fine, resource="a")])
    )

    assert states == {"a": True, "b": False, "c": True}
    assert took < AT_ONCE


def test_a_dependency_that_never_answers_has_failed_without_a_wait(silent):
    monitor = ReadinessMonitor([dependency("silent", silent), dependency("a", fine)])

    answers = [asked(monitor) for _ in range(50)]

    assert [states for states, _ in answers] == [{"silent": False, "a": True}] * 50
    assert max(took for _, took in answers) < AT_ONCE
    assert sum(took for _, took in answers[1:]) < AT_ONCE


def test_what_falls_silent_has_failed_soon(silent):
    calls = iter([fine, silent])
    monitor = ReadinessMonitor([dependency("a", lambda: next(calls)(), deadline_seconds=0.1)])

    assert asked(monitor)[0] == {"a": True}
    eventually(lambda: asked(monitor)[0] == {"a": False}, 5)


def test_what_hangs_hangs_what_stands_behind_it_and_nothing_else(silent):
    monitor = ReadinessMonitor(
        [dependency("a", silent, resource="x"), dependency("b", fine, resource="x"), dependency("c", fine)]
    )

    assert asked(monitor)[0] == {"a": False, "b": False, "c": True}


def test_what_comes_back_is_seen_without_a_restart():
    calls = iter([fails, fails])
    monitor = ReadinessMonitor([dependency("a", lambda: next(calls, fine)())])

    assert asked(monitor)[0] == {"a": False}
    eventually(lambda: asked(monitor)[0] == {"a": True}, 5)


def test_a_result_is_stale_after_its_interval_and_two_deadlines():
    assert dependency("a", fine, every_seconds=1.0, deadline_seconds=2.0).longest_age_seconds == 5.0


def test_a_good_answer_that_comes_too_late_is_none():
    monitor = ReadinessMonitor([dependency("a", lambda: sleep(0.05), deadline_seconds=0.01)])

    eventually(lambda: monitor.states()["a"].seconds >= 0.05, 5)
    assert asked(monitor)[0] == {"a": False}


def test_the_first_of_a_resource_is_looked_at_whenever_it_is_due():
    seen = []
    checks = {name: lambda name=name: seen.append(name) or sleep(0.05) for name in "bc"}
    monitor = ReadinessMonitor(
        [
            dependency("a", lambda: seen.append("a"), every_seconds=0.03, resource="x"),
            dependency("b", checks["b"], every_seconds=9, resource="x"),
            dependency("c", checks["c"], every_seconds=9, resource="x"),
        ]
    )

    monitor.states()
    eventually(lambda: len(seen) >= 5, 5)

    assert seen[:5] == ["a", "b", "a", "c", "a"]


def test_polling_stops_without_requests_and_resumes_with_current_results():
    calls = iter([fine])
    monitor = ReadinessMonitor(
        [dependency("idle", lambda: next(calls, fails)(), every_seconds=0.1)], unasked_seconds=0.02
    )

    assert asked(monitor)[0] == {"idle": True}
    eventually(lambda: "readiness-idle" not in {thread.name for thread in threads()}, 5)

    assert asked(monitor)[0] == {"idle": True}  # it is not old yet
    eventually(lambda: asked(monitor)[0] == {"idle": False}, 5)


def test_a_forked_child_looks_for_itself(silent):
    mine = os.getpid()
    monitor = ReadinessMonitor([dependency("a", lambda: silent() if os.getpid() == mine else fine())])
    os.register_at_fork(after_in_child=monitor.reset_after_fork)
    assert asked(monitor)[0] == {"a": False}

    child = os.fork()
    if not child:
        os._exit(0 if asked(monitor)[0] == {"a": True} else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.fixture
def watching():
    """A monitor of the given dependencies, whose threads end with the test."""
    monitors = []

    def watching(*dependencies):
        monitors.append(ReadinessMonitor(dependencies, unasked_seconds=0.05))
        return monitors[-1]

    yield watching
    for monitor in monitors:
        monitor.unasked_seconds = 0.0


def test_who_keeps_looking_knows_before_anybody_has_asked(watching):
    monitor = watching(dependency("slow", lambda: sleep(0.2), deadline_seconds=5))

    monitor.poll_permanently(first_seconds=5)
    states, took = asked(monitor)

    assert states == {"slow": True}
    assert took < AT_ONCE


def test_who_keeps_looking_goes_on_when_nobody_asks(watching):
    looks = []
    monitor = watching(dependency("a", lambda: looks.append(monotonic())))

    monitor.poll_permanently(first_seconds=5)
    before = len(looks)

    eventually(lambda: len(looks) > before + 20, 10)


def test_who_keeps_looking_waits_for_what_is_silent_as_long_as_told(watching, silent):
    started = monotonic()

    watching(dependency("silent", silent)).poll_permanently(first_seconds=0.1)

    assert monotonic() - started < AT_ONCE
