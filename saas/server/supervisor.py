"""A process supervisor for development: programs start together, their output is labelled, and when one exits, all stop.

A program with ``restart_on_exit`` is started again instead, if it has run for ``MIN_LIFETIME_SECONDS`` before.

Existing runners leave processes behind when they are killed, or restart every program. Here every program leads a session
of its own: Ctrl-C reaches only the supervisor, and a program's own children are killed with it.
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

STOP_TIMEOUT_SECONDS = 8.0  # a Celery worker on the embedded broker needs four to six
START_TIMEOUT_SECONDS = 60.0
AFTER_CHANGE_SECONDS = 10.0  # a program that exits this soon after its code changed waits for the next change
MIN_LIFETIME_SECONDS = 5.0  # a program that has run this long is able to start
RESTART_DELAY_SECONDS, MAX_RESTART_DELAY_SECONDS = (
    1.0,
    30.0,
)  # doubled after each shorter run
TICK_SECONDS = 0.2
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

WriteLine = Callable[[str, str], None]
NotePids = Callable[[Mapping[str, int]], None]


@dataclass(frozen=True)
class Program:
    """``environment`` is added to ours. ``restart_on_exit``: the others go on while it is down."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    restart_on_exit: bool = False


class CodeFilter(DefaultFilter):
    """Matches changes of code and templates, not of tests."""

    def __call__(self, change: object, path: str) -> bool:
        is_code = path.endswith((".py", ".html", ".txt")) and "/tests/" not in path
        return is_code and super().__call__(change, path)  # type: ignore[arg-type]


class ChildProcess:
    """A program and its current process."""

    def __init__(self, program: Program, say: WriteLine) -> None:
        self.program = program
        self.say = say
        self.was_changed = self.has_proven_start = False
        self.restart_delay_seconds = RESTART_DELAY_SECONDS
        self.start()

    def start(self) -> None:
        self.is_stopping = self.is_down = False
        self.restarts_at: float | None = None
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603
            self.program.command,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", **self.program.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            preexec_fn=_kill_with_parent(),
        )
        self.relay = Thread(target=self._relay, args=[self.process], daemon=True)
        self.relay.start()

    def stop(self) -> None:
        """Send SIGTERM. Children of the process are its own concern until ``kill``."""
        self.is_stopping = True
        self.stopped_at = time.monotonic()
        if self.process.poll() is None:
            self.process.terminate()

    def kill(self) -> None:
        """Kill the process group and wait for the process."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.relay.join(timeout=1)

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    @property
    def exit_code(self) -> int:
        """The exit code as a shell reports it; never 0, because it was not asked to exit."""
        code = self.process.returncode
        return 128 - code if code < 0 else code or 1

    def has_ended_after_change(self) -> bool:
        return self.was_changed and time.monotonic() - self.started_at < AFTER_CHANGE_SECONDS

    def schedule_restart(self) -> bool:
        """After it exited: restart it after a delay. False if it may not restart, or has never run long enough."""
        lived = time.monotonic() - self.started_at
        self.has_proven_start = self.has_proven_start or lived >= MIN_LIFETIME_SECONDS
        if not (self.program.restart_on_exit and self.has_proven_start):
            return False
        is_steady = lived > MAX_RESTART_DELAY_SECONDS
        self.restart_delay_seconds = (
            RESTART_DELAY_SECONDS if is_steady else min(2 * self.restart_delay_seconds, MAX_RESTART_DELAY_SECONDS)
        )
        self.restarts_at = time.monotonic() + self.restart_delay_seconds
        self.is_down = True
        return True

    def _relay(self, process: "subprocess.Popen[str]") -> None:
        for line in process.stdout or ():
            self.say(self.program.name, line.rstrip("\n"))


class Supervisor:
    """Runs ``programs`` until one exits or a stop signal comes; restarts them when code under ``watched`` changes."""

    def __init__(
        self,
        programs: Sequence[Program],
        say: WriteLine,
        *,
        watched: Sequence[Path] = (),
        grace_seconds: float = STOP_TIMEOUT_SECONDS,
        note_pids: NotePids = lambda pids: None,
    ) -> None:
        """``note_pids`` is given the process id of each program, at the start and whenever one has changed."""
        self.programs = programs
        self.say = say
        self.watched = watched
        self.grace_seconds = grace_seconds
        self.note_pids = note_pids
        self.children: list[ChildProcess] = []

    def run(self, *, is_ready: Callable[[], bool], on_ready: Callable[[], None]) -> int:
        """Return the exit code: 0 after a stop signal, else that of the program that exited."""
        with _collect_signals() as asked:
            try:
                self.children = [ChildProcess(program, self.say) for program in self.programs]
                return self._supervise(asked, is_ready, on_ready)
            finally:
                self._stop_all(asked)

    def _supervise(self, asked: list[int], is_ready: Callable[[], bool], on_ready: Callable[[], None]) -> int:
        ready, deadline = False, time.monotonic() + START_TIMEOUT_SECONDS
        noted: dict[str, int] = {}
        for changed in _ticks(self.watched):
            if asked:
                return 0
            if (code := self._check_children(changed)) is not None:
                return code
            if (pids := {child.program.name: child.process.pid for child in self.children}) != noted:
                self.note_pids(noted := pids)
            if not ready and is_ready():
                ready = True
                on_ready()
            if not ready and time.monotonic() > deadline:
                self.say("up", f"not ready after {START_TIMEOUT_SECONDS:.0f} s; stopping")
                return 1
        return 0

    def _check_children(self, changed: bool) -> int | None:
        """Stop, restart, and report; return the exit code of a program whose exit ends all."""
        if changed:
            self.say("up", "the code has changed; starting everything again")
        for child in self.children:
            if changed:
                child.was_changed = True
                child.stop()
            if child.is_stopping:
                self._restart(child)
            elif child.has_ended() and not child.is_down:
                if (code := self._handle_exit(child)) is not None:
                    return code
            elif child.restarts_at is not None and time.monotonic() > child.restarts_at:
                child.kill()  # its process group
                child.start()
        return None

    def _handle_exit(self, child: ChildProcess) -> int | None:
        """Decide about a child that exited: return its exit code if that ends all."""
        ended = f"{child.program.name} ended with code {child.exit_code}"
        if child.has_ended_after_change():
            self.say("up", f"{ended}; waiting for the next change")
            child.is_down = True
        elif child.schedule_restart():
            self.say("up", f"{ended}; starting it again in {child.restart_delay_seconds:.0f} s")
        else:
            self.say("up", f"{ended}; stopping the others")
            return child.exit_code
        return None

    def _restart(self, child: ChildProcess) -> None:
        if child.has_ended() or time.monotonic() - child.stopped_at > self.grace_seconds:
            child.kill()
            child.start()

    def _stop_all(self, asked: list[int]) -> None:
        """Terminate all and wait; kill what is left after ``grace_seconds``, or at a second Ctrl-C."""
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
    """Yield whether code has changed: every ``TICK_SECONDS``, and at once when it does."""
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    if watched:
        milliseconds = int(TICK_SECONDS * 1000)
        for changes in watch(*watched, watch_filter=CodeFilter(), rust_timeout=milliseconds, yield_on_timeout=True):
            yield bool(changes)
    while True:
        time.sleep(TICK_SECONDS)
        yield False


@contextmanager
def _collect_signals() -> Iterator[list[int]]:
    """Append stop signals to the yielded list, for the loop to read, instead of acting on them.

    Under nohup SIGHUP stays ignored.
    """
    asked: list[int] = []
    heard = [number for number in STOP_SIGNALS if not _is_ignored_hangup(number)]
    before = {number: signal.signal(number, lambda number, _: asked.append(number)) for number in heard}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_ignored_hangup(number: int) -> bool:
    return number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN


def _kill_with_parent() -> Callable[[], None] | None:
    """Return a ``preexec_fn`` that has the kernel kill the child when its parent ends; None outside Linux."""
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent ended before prctl
            os._exit(1)

    return before_exec
