"""Readiness: the dependencies of this process, checked in the background.

``/health/ready`` must answer within a tenth of a second, whatever dependency is slow. So nothing is checked during a request:
a thread for each resource polls from the first request on, and the response is the last result. A result that is too old
counts as failed: a hanging check cannot be stopped, but its result becomes stale.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from threading import Condition, Thread
from time import monotonic, sleep

from django.conf import settings
from django.db import connections
from django.utils.module_loading import import_string

from saas.operations import checks

logger = logging.getLogger(__name__)

FIRST_CHECKS_SECONDS = 0.08  # the longest that the first request waits for the first checks


@dataclass(frozen=True)
class Dependency:
    """``is_needed``: without it this service cannot work; without the others it is degraded. The checks of one ``resource``
    run in one thread, in the order of their definition: one that hangs blocks the others."""

    name: str
    check: Callable[[], object]
    resource: str
    is_needed: bool = False
    every_seconds: float = 1.0
    deadline_seconds: float = 2.0

    @property
    def longest_age_seconds(self) -> float:
        """The age at which a result is stale: another check of the resource may run before it, each up to its deadline."""
        return self.every_seconds + 2 * self.deadline_seconds


def _call(path: str) -> object:
    return import_string(path)()


DEPENDENCIES = (
    Dependency("database", checks.database, "database", is_needed=True),
    Dependency("migrations", checks.migrations, "database", is_needed=True, every_seconds=5.0),
    Dependency("worker", checks.worker, "database", every_seconds=2.0),
    Dependency("beat", checks.beat, "database", every_seconds=2.0),
    *([Dependency("replica", checks.replica, "replica")] if settings.DATABASE_REPLICA_URL else []),
    Dependency("cache", checks.cache, "cache"),
    Dependency("broker", checks.broker, "broker", every_seconds=2.0),
    *(
        Dependency(name, partial(_call, path), "database", every_seconds=10.0)
        for name, path in settings.READINESS_CHECKS.items()
    ),
)


@dataclass(frozen=True)
class DependencyState:
    """The result of a check. ``seconds``: its duration, or the time without a result. ``error``: for the log."""

    is_ok: bool
    seconds: float
    error: str = ""


@dataclass(frozen=True)
class _Result:
    state: DependencyState
    at: float


def run_check(check: Callable[[], object]) -> DependencyState:
    """Run ``check`` now, in this thread, without a time limit."""
    started = monotonic()
    try:
        check()
    except Exception as error:
        return DependencyState(False, monotonic() - started, str(error) or type(error).__name__)
    return DependencyState(True, monotonic() - started)


class ReadinessMonitor:
    """Polls ``dependencies`` in the background while their states are requested."""

    def __init__(self, dependencies: Sequence[Dependency], unasked_seconds: float = 60.0) -> None:
        """Stop polling after ``unasked_seconds`` without a request."""
        self.dependencies = dependencies
        self.unasked_seconds = unasked_seconds
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Start anew in a forked child: it has none of its parent's threads, and one may have held the lock."""
        self._changed = Condition()
        self._seen: dict[str, _Result] = {}
        self._working: set[str] = set()  # resources that a thread polls
        self._requested_at = self._started_at = float("-inf")

    def states(self) -> dict[str, DependencyState]:
        """Return the states by name. Waits only for the first checks, at most ``FIRST_CHECKS_SECONDS``."""
        with self._changed:
            self._requested_at = monotonic()
            self._start_threads()
            first_until = self._started_at + FIRST_CHECKS_SECONDS
            self._changed.wait_for(self._has_current_results, timeout=max(0.0, first_until - monotonic()))
            return {dependency.name: self._state(dependency) for dependency in self.dependencies}

    def poll_permanently(self, first_seconds: float) -> None:
        """Poll from now on, requested or not, and wait for the first checks, at most ``first_seconds``.

        For a server's workers: a proxy whose probe reaches a worker without results would remove the whole server.
        """
        with self._changed:
            self.unasked_seconds = float("inf")
            self._start_threads()
            self._changed.wait_for(self._has_current_results, timeout=first_seconds)

    def _start_threads(self) -> None:
        for resource in {dependency.resource for dependency in self.dependencies} - self._working:
            Thread(target=self._poll, args=(resource,), name=f"readiness-{resource}", daemon=True).start()
            self._working.add(resource)
            self._started_at = monotonic()

    def _has_current_results(self) -> bool:
        return all(self._age(one) <= one.longest_age_seconds for one in self.dependencies)

    def _age(self, dependency: Dependency) -> float:
        seen = self._seen.get(dependency.name)
        return monotonic() - seen.at if seen else float("inf")

    def _state(self, dependency: Dependency) -> DependencyState:
        age = self._age(dependency)
        if age <= dependency.longest_age_seconds:
            return self._seen[dependency.name].state
        return DependencyState(False, min(age, monotonic() - self._started_at))

    def _poll(self, resource: str) -> None:
        due_at = {one: float("-inf") for one in self.dependencies if one.resource == resource}
        try:
            while self._is_requested(resource):
                due = next((one for one in due_at if due_at[one] <= monotonic()), None)
                if due is None:
                    sleep(max(0.0, min(due_at.values()) - monotonic()))
                    continue
                self._record(due, run_check(due.check))
                due_at[due] = monotonic() + due.every_seconds
                connections.close_all()  # release this thread's connections
        except Exception:
            logger.exception("readiness_thread_failed")
            with self._changed:
                self._working.discard(resource)  # the next request starts another one

    def _is_requested(self, resource: str) -> bool:
        with self._changed:
            if monotonic() - self._requested_at <= self.unasked_seconds:
                return True
            self._working.discard(resource)
            return False

    def _record(self, dependency: Dependency, state: DependencyState) -> None:
        """Record a result, and log it if it differs from the last. A success after its deadline counts as a failure."""
        if state.is_ok and state.seconds > dependency.deadline_seconds:
            state = replace(state, is_ok=False, error=f"took {state.seconds:.1f} s")
        with self._changed:
            before = self._seen.get(dependency.name)
            self._seen[dependency.name] = _Result(state, monotonic())
            self._changed.notify_all()
        if not state.is_ok and (before is None or before.state.is_ok):
            logger.warning("check_failed: %s: %s", dependency.name, state.error)
        elif state.is_ok and before and not before.state.is_ok:
            logger.info("check_passes_again: %s", dependency.name)


def check_all_now() -> Mapping[str, DependencyState]:
    """Run all checks now, in this thread: for tests, which must see their own transaction."""
    return {one.name: run_check(one.check) for one in DEPENDENCIES}


monitor = ReadinessMonitor(DEPENDENCIES)
os.register_at_fork(after_in_child=monitor.reset_after_fork)
