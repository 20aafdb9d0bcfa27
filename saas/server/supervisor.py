"""Programs that run as one: they start together, their output is labelled, and when one ends, all end.

But for those that end themselves to be replaced (``is_replaced``): such a one starts again, once it has proved that it can.

Our own, because the runners that exist leave processes behind when they are killed, or start every dead one again. Every
program leads a session of its own: a Ctrl-C reaches only us, and what a program has started can be ended with it.
"""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

from watchfiles import DefaultFilter, watch

STOP_TIMEOUT_SECONDS = 8.0  # a Celery worker on the embedded broker takes four to six to stop
START_TIMEOUT_SECONDS = 60.0
AFTER_CHANGE_SECONDS = 10.0  # a program that ends this soon after a change of its code waits for the next change
MIN_LIFETIME_SECONDS = 5.0  # what has lived for so long can start, so it may start again
RESTART_DELAY_SECONDS, MAX_RESTART_DELAY_SECONDS = (
    1.0,
    30.0,
)  # before a start again; doubled while it lives no longer than that
TICK_SECONDS = 0.2
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

WriteLine = Callable[[str, str], None]


@dataclass(frozen=True)
class Program:
    """``environment`` is added to ours. ``is_replaced``: the others go on without it until it is there again."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    restart_on_exit: bool = False


class CodeFilter(DefaultFilter):
    """Changes that a running program should see: code and templates, not tests."""

    def __call__(self, change: object, path: str) -> bool:
        is_code = path.endswith((".py", ".html", ".txt")) and "/tests/" not in path
        return is_code and super().__call__(change, path)  # type: ignore[arg-type]


class ChildProcess:
    """A program and the process that runs it now."""

    def __init__(self, program: Program, say: WriteLine) -> None:
        self.program = program
        self.say = say
        self.was_changed = self.is_proven = False
        self.pause_seconds = RESTART_DELAY_SECONDS
        self.start()

    def start(self) -> None:
        self.is_stopping = self.is_down = False
        self.resumes_at: float | None = None
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603
            self.program.command,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **self.program.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            preexec_fn=_die_with_parent(),
        )
        self.relay = Thread(target=self._relay, args=[self.process], daemon=True)
        self.relay.start()

    def stop(self) -> None:
        """Ask it to end. What it has started is its own business until ``kill``."""
        self.is_stopping = True
        self.stopped_at = time.monotonic()
        if self.process.poll() is None:
            self.process.terminate()

    def kill(self) -> None:
        """End it and everything that it has left behind."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.relay.join(timeout=1)

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    @property
    def exit_code(self) -> int:
        """As a shell tells it; never 0, because nobody asked it to end."""
        code = self.process.returncode
        return 128 - code if code < 0 else code or 1

    def has_ended_after_change(self) -> bool:
        return self.was_changed and time.monotonic() - self.started_at < AFTER_CHANGE_SECONDS

    def schedule_restart(self) -> bool:
        """It has ended: have it start again after a pause. False if it may not, or has never lived long enough."""
        lived = time.monotonic() - self.started_at
        self.is_proven = self.is_proven or lived >= MIN_LIFETIME_SECONDS
        if not (self.program.restart_on_exit and self.is_proven):
            return False
        is_steady = lived > MAX_RESTART_DELAY_SECONDS
        self.pause_seconds = (
            RESTART_DELAY_SECONDS if is_steady else min(2 * self.pause_seconds, MAX_RESTART_DELAY_SECONDS)
        )
        self.resumes_at = time.monotonic() + self.pause_seconds
        self.is_down = True
        return True

    def _relay(self, process: "subprocess.Popen[str]") -> None:
        for line in process.stdout or ():
            self.say(self.program.name, line.rstrip("\n"))


class Supervisor:
    """Runs ``programs`` until one ends or somebody asks us to; restarts them when code under ``watched`` changes."""

    def __init__(
        self,
        programs: Sequence[Program],
        say: WriteLine,
        *,
        watched: Sequence[Path] = (),
        grace_seconds: float = STOP_TIMEOUT_SECONDS,
    ) -> None:
        self.programs = programs
        self.say = say
        self.watched = watched
        self.grace_seconds = grace_seconds
        self.children: list[ChildProcess] = []

    def run(self, *, is_ready: Callable[[], bool], on_ready: Callable[[], None]) -> int:
        """The exit code: 0 when asked to stop, else that of the program that ended."""
        with _signals_noted() as asked:
            try:
                self.children = [ChildProcess(program, self.say) for program in self.programs]
                return self._watch_over(asked, is_ready, on_ready)
            finally:
                self._stop_all(asked)

    def _watch_over(self, asked: list[int], is_ready: Callable[[], bool], on_ready: Callable[[], None]) -> int:
        ready, deadline = False, time.monotonic() + START_TIMEOUT_SECONDS
        for changed in _ticks(self.watched):
            if asked:
                return 0
            if (code := self._look_after_children(changed)) is not None:
                return code
            if not ready and is_ready():
                ready = True
                on_ready()
            if not ready and time.monotonic() > deadline:
                self.say("up", f"not ready after {START_TIMEOUT_SECONDS:.0f} s; stopping")
                return 1
        return 0

    def _look_after_children(self, changed: bool) -> int | None:
        """Stop, start again, and report; the exit code if one ended of itself."""
        if changed:
            self.say("up", "the code has changed; starting everything again")
        for child in self.children:
            if changed:
                child.was_changed = True
                child.stop()
            if child.is_stopping:
                self._restart(child)
            elif child.has_ended() and not child.is_down:
                if (code := self._let_rest(child)) is not None:
                    return code
            elif child.resumes_at is not None and time.monotonic() > child.resumes_at:
                child.kill()  # what it has left behind
                child.start()
        return None

    def _let_rest(self, child: ChildProcess) -> int | None:
        """One has ended of itself: its exit code, if that ends all."""
        ended = f"{child.program.name} ended with code {child.exit_code}"
        if child.has_ended_after_change():
            self.say("up", f"{ended}; waiting for the next change")
            child.is_down = True
        elif child.schedule_restart():
            self.say("up", f"{ended}; starting it again in {child.pause_seconds:.0f} s")
        else:
            self.say("up", f"{ended}; stopping the others")
            return child.exit_code
        return None

    def _restart(self, child: ChildProcess) -> None:
        if child.has_ended() or time.monotonic() - child.stopped_at > self.grace_seconds:
            child.kill()
            child.start()

    def _stop_all(self, asked: list[int]) -> None:
        """Ask all to end and wait; kill what is left after the grace, or at a second Ctrl-C."""
        deadline = time.monotonic() + self.grace_seconds
        self.say("up", "stopping (another Ctrl-C does not wait)")
        for child in self.children:
            child.stop()
        while not all(child.has_ended() for child in self.children):
            if time.monotonic() > deadline or len(asked) > 1:
                break
            time.sleep(0.05)
        for child in self.children:
            child.kill()


def _ticks(watched: Sequence[Path]) -> Iterator[bool]:
    """Yield every 0.2 s, and at once when code changes: whether it did."""
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    if watched:
        milliseconds = int(TICK_SECONDS * 1000)
        for changes in watch(*watched, watch_filter=CodeFilter(), rust_timeout=milliseconds, yield_on_timeout=True):
            yield bool(changes)
    while True:
        time.sleep(TICK_SECONDS)
        yield False


@contextmanager
def _signals_noted() -> Iterator[list[int]]:
    """Ctrl-C and its kin are written down, not acted upon: the loop looks at the list."""
    asked: list[int] = []
    before = {number: signal.signal(number, lambda number, _: asked.append(number)) for number in STOP_SIGNALS}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _die_with_parent() -> Callable[[], None] | None:
    """What a child does first: on Linux, have the kernel kill it when we are gone, however that came."""
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # we were gone before the kernel knew
            os._exit(1)

    return before_exec
