"""What this process depends on, and how each of them was when last looked at.

Who asks ``/health/ready`` waits for a tenth of a second at most, whatever is slow or silent. So nothing is checked while
somebody waits: a thread for each resource looks again and again from the first question on, and the answer is what they
saw last. What they saw too long ago counts as failed: a check that hangs cannot be stopped, but it goes stale.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Condition, Thread
from time import monotonic, sleep

from django.db import connections

from saas.operations import checks

logger = logging.getLogger(__name__)

FIRST_CHECKS_SECONDS = 0.08  # how long the first who asks waits for the first checks


@dataclass(frozen=True)
class Dependency:
    """``is_needed``: without it this service cannot work; without the others it is degraded. The checks of one ``resource``
    take turns in one thread, in the order in which they stand: what hangs, hangs them all."""

    name: str
    check: Callable[[], object]
    resource: str
    is_needed: bool = False
    every_seconds: float = 1.0
    deadline_seconds: float = 2.0

    @property
    def longest_age_seconds(self) -> float:
        """A check that came before it may take its time, and so may its own."""
        return self.every_seconds + 2 * self.deadline_seconds


DEPENDENCIES = (
    Dependency("database", checks.database, "database", is_needed=True),
    Dependency("migrations", checks.migrations, "database", is_needed=True, every_seconds=5.0),
    Dependency("worker", checks.worker, "database", every_seconds=2.0),
    Dependency("beat", checks.beat, "database", every_seconds=2.0),
    Dependency("cache", checks.cache, "cache"),
    Dependency("broker", checks.broker, "broker", every_seconds=2.0),
)


@dataclass(frozen=True)
class DependencyState:
    """How a dependency was. ``seconds``: what the check took, or for how long there has been none. ``error``: for the log."""

    is_ok: bool
    seconds: float
    error: str = ""


@dataclass(frozen=True)
class _Seen:
    state: DependencyState
    at: float


def run_check(check: Callable[[], object]) -> DependencyState:
    """Check now, in this thread, however long that takes."""
    started = monotonic()
    try:
        check()
    except Exception as error:
        return DependencyState(False, monotonic() - started, str(error) or type(error).__name__)
    return DependencyState(True, monotonic() - started)


class ReadinessMonitor:
    """The states of ``dependencies``, kept current in the background while somebody asks for them."""

    def __init__(self, dependencies: Sequence[Dependency], unasked_seconds: float = 60.0) -> None:
        """Nobody looks any more once nobody has asked for ``unasked_seconds``."""
        self.dependencies = dependencies
        self.unasked_seconds = unasked_seconds
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """In a forked child: its parent's threads do not live there, and a lock of theirs may be held for ever."""
        self._changed = Condition()
        self._seen: dict[str, _Seen] = {}
        self._working: set[str] = set()  # the resources that a thread looks at
        self._asked_at = self._started_at = float("-inf")

    def states(self) -> dict[str, DependencyState]:
        """By name. Waits for the first checks after a start, and never again."""
        with self._changed:
            self._asked_at = monotonic()
            self._start_what_rests()
            first_until = self._started_at + FIRST_CHECKS_SECONDS
            self._changed.wait_for(self._is_current, timeout=max(0.0, first_until - monotonic()))
            return {dependency.name: self._state(dependency) for dependency in self.dependencies}

    def poll_permanently(self, first_seconds: float) -> None:
        """From now on, whether or not somebody asks, as a server's worker must: a proxy that reaches one that has not looked
        yet, or not for long, would take its whole server out. Waits for the first checks, at most ``first_seconds``."""
        with self._changed:
            self.unasked_seconds = float("inf")
            self._start_what_rests()
            self._changed.wait_for(self._is_current, timeout=first_seconds)

    def _start_what_rests(self) -> None:
        for resource in {dependency.resource for dependency in self.dependencies} - self._working:
            Thread(target=self._work, args=(resource,), name=f"readiness-{resource}", daemon=True).start()
            self._working.add(resource)
            self._started_at = monotonic()

    def _is_current(self) -> bool:
        return all(self._age(one) <= one.longest_age_seconds for one in self.dependencies)

    def _age(self, dependency: Dependency) -> float:
        seen = self._seen.get(dependency.name)
        return monotonic() - seen.at if seen else float("inf")

    def _state(self, dependency: Dependency) -> DependencyState:
        age = self._age(dependency)
        if age <= dependency.longest_age_seconds:
            return self._seen[dependency.name].state
        return DependencyState(False, min(age, monotonic() - self._started_at))

    def _work(self, resource: str) -> None:
        try:
            self._look_on(resource)
        except Exception:
            logger.exception("readiness_thread_failed")
            with self._changed:
                self._working.discard(resource)  # who asks next starts another

    def _look_on(self, resource: str) -> None:
        due_at = {one: float("-inf") for one in self.dependencies if one.resource == resource}
        while self._is_asked_for(resource):
            due = next((one for one in due_at if due_at[one] <= monotonic()), None)
            if due is None:
                sleep(max(0.0, min(due_at.values()) - monotonic()))
                continue
            self._note(due, run_check(due.check))
            due_at[due] = monotonic() + due.every_seconds
            connections.close_all()  # this thread's: others want them, too

    def _is_asked_for(self, resource: str) -> bool:
        with self._changed:
            if monotonic() - self._asked_at <= self.unasked_seconds:
                return True
            self._working.discard(resource)
            return False

    def _note(self, dependency: Dependency, state: DependencyState) -> None:
        """A good answer that came too late is none: who needs it would have given up."""
        if state.is_ok and state.seconds > dependency.deadline_seconds:
            state = replace(state, is_ok=False, error=f"took {state.seconds:.1f} s")
        with self._changed:
            before = self._seen.get(dependency.name)
            self._seen[dependency.name] = _Seen(state, monotonic())
            self._changed.notify_all()
        if before is None or before.state.is_ok != state.is_ok:
            _tell(dependency.name, state, is_first=before is None)


def _tell(name: str, state: DependencyState, *, is_first: bool) -> None:
    """Once for each change: it is looked at every second."""
    if not state.is_ok:
        logger.warning("check_failed: %s: %s", name, state.error)
    elif not is_first:
        logger.info("check_passes_again: %s", name)


def check_all_now() -> Mapping[str, DependencyState]:
    """The same without a thread, each looked at now: for tests, which see what their transaction holds."""
    return {one.name: run_check(one.check) for one in DEPENDENCIES}


monitor = ReadinessMonitor(DEPENDENCIES)
os.register_at_fork(after_in_child=monitor.reset_after_fork)
