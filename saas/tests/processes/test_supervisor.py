"""What the supervisor does with programs: small ones here, so that each case takes moments."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from django.conf import settings

from saas.server import supervisor
from saas.server.supervisor import CodeFilter, Program, Supervisor
from saas.testing.servers.stack import eventually

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("supervisor")]

WAITS = "import time; print('up', flush=True); time.sleep(60)"
# Its child, too, turns a deaf ear to SIGTERM.
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child:
    print("child", child, flush=True)
time.sleep(10)
print("waited", flush=True)
"""


class Lines(list[str]):
    """What the programs and the supervisor said; ``react`` may act on a line."""

    react: Callable[[str], None] = staticmethod(lambda line: None)

    def __init__(self) -> None:
        super().__init__()
        self.is_watching = Event()

    def __call__(self, name: str, line: str) -> None:
        self.append(f"{name}: {line}")
        self.react(self[-1])


def program(name: str, code: str) -> Program:
    return Program(name, [sys.executable, "-c", code])


def run(lines: Lines, *programs: Program, watched: tuple[Path, ...] = (), grace_seconds: float = 5.0) -> int:
    ours = Supervisor(programs, lines, watched=watched, grace_seconds=grace_seconds)
    code = ours.run(is_ready=lambda: True, on_ready=lines.is_watching.set)
    assert all(child.has_ended() for child in ours.children)
    return code


def ask(number: int) -> None:
    os.kill(os.getpid(), number)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_program_that_is_replaced_starts_again_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "MIN_LIFETIME_SECONDS", 0.0)
    monkeypatch.setattr(supervisor, "RESTART_DELAY_SECONDS", 0.1)
    monkeypatch.setattr(supervisor, "MAX_RESTART_DELAY_SECONDS", 0.1)
    lines = Lines()
    lines.react = lambda line: ask(signal.SIGTERM) if lines.count("worker: here") == 3 else None
    worker = replace(program("worker", "print('here'); raise SystemExit(3)"), restart_on_exit=True)

    assert run(lines, program("one", WAITS), worker) == 0
    assert lines.count("one: up") == 1
    assert "up: worker ended with code 3; starting it again in 0 s" in lines


def test_a_program_that_has_never_lived_long_enough_is_not_started_again() -> None:
    worker = replace(program("worker", "raise SystemExit(3)"), restart_on_exit=True)

    assert run(Lines(), program("one", WAITS), worker) == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_signal_that_asks_to_stop_stops_all_programs(number: signal.Signals) -> None:
    lines = Lines()
    lines.react = lambda line: ask(number) if line == "one: up" else None
    before = signal.getsignal(number)

    assert run(lines, program("one", WAITS), program("two", WAITS)) == 0
    assert signal.getsignal(number) is before


def test_under_nohup_the_end_of_the_terminal_stops_nothing() -> None:
    lines = Lines()
    stops = {"one: up": signal.SIGHUP, "one: still": signal.SIGTERM}
    lines.react = lambda line: ask(stops[line]) if line in stops else None
    code = "import time; print('up', flush=True); time.sleep(0.5); print('still', flush=True); time.sleep(60)"
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run(lines, program("one", code)) == 0
    finally:
        signal.signal(signal.SIGHUP, before)

    assert "one: still" in lines


# Prints "up" and, when it is asked to end, leaves a file.
ENDS = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path(sys.argv[1]).touch(), sys.exit()))
print("up", flush=True)
time.sleep(60)
"""
LABELLED = """
import os, sys
import django
django.setup()
from saas.management.commands.up import LabelledOutput
from saas.server.supervisor import Program, Supervisor
program = Program("one", [sys.executable, "-c", sys.argv[1], sys.argv[2]])
supervisor = Supervisor([program], LabelledOutput(["one"], is_coloured=False))
sys.exit(supervisor.run(is_ready=lambda: True, on_ready=lambda: None))
"""


def test_programs_end_as_asked_although_nobody_reads_their_output(tmp_path: Path) -> None:
    """``manage.py up | tee log``, and Ctrl-C: it ends ``tee`` first."""
    command = [sys.executable, "-c", LABELLED, ENDS, str(tmp_path / "ended")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=settings.BASE_DIR, **pipes, text=True) as up:
        assert up.stdout
        assert up.stderr
        assert up.stdout.readline().endswith("up\n")
        up.stdout.close()
        up.send_signal(signal.SIGINT)

        assert (up.wait(20), up.stderr.read()) == (0, "")
    assert (tmp_path / "ended").exists()


def test_when_one_program_ends_all_stop_with_its_code() -> None:
    lines = Lines()

    assert run(lines, program("one", WAITS), program("two", "print('no'); raise SystemExit(3)")) == 3
    assert "two: no" in lines
    assert "up: two ended with code 3; stopping the others" in lines


@pytest.mark.parametrize(
    ("code", "told"), [("pass", 1), ("import os; os.kill(os.getpid(), 9)", 137)], ids=["quietly", "killed"]
)
def test_a_program_that_ends_unasked_is_a_failure_however_it_ended(code: str, told: int) -> None:
    assert run(Lines(), program("one", code)) == told


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_a_program_that_ignores_signals_is_killed_with_its_children() -> None:
    lines = Lines()
    lines.react = lambda line: ask(signal.SIGTERM) if "child" in line else None

    assert run(lines, program("deaf", STUBBORN), grace_seconds=0.3) == 0

    pid = int(re.findall(r"child (\d+)", lines[0])[0])
    eventually(lambda: not is_alive(pid))


def test_a_second_ctrl_c_does_not_wait_for_the_grace() -> None:
    lines = Lines()
    lines.react = lambda line: ask(signal.SIGINT) if "child" in line or "stopping" in line else None

    assert run(lines, program("deaf", STUBBORN), grace_seconds=60.0) == 0
    assert "deaf: waited" not in lines


def test_a_change_of_code_starts_the_programs_again(tmp_path: Path) -> None:
    lines = Lines()

    def react(line: str) -> None:
        if line == "one: up" and lines.count("one: up") == 1:
            lines.is_watching.wait(timeout=10)
            (tmp_path / "models.py").write_text("changed = True\n")
        elif line == "one: up":
            ask(signal.SIGINT)

    lines.react = react

    assert run(lines, program("one", WAITS), watched=(tmp_path,)) == 0
    assert lines.count("one: up") == 2


def test_a_program_that_a_change_broke_waits_for_the_next_change(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("pass\n")
    lines = Lines()

    def react(line: str) -> None:
        if line == "one: up" and lines.count("one: up") == 1:
            lines.is_watching.wait(timeout=10)
            module.write_text("raise SystemExit(4)\n")
        elif line.endswith("waiting for the next change"):
            module.write_text("pass # mended\n")
        elif line == "one: up":
            ask(signal.SIGINT)

    lines.react = react

    assert run(lines, program("one", f"exec(open({str(module)!r}).read()); {WAITS}"), watched=(tmp_path,)) == 0
    assert "up: one ended with code 4; waiting for the next change" in lines


@pytest.mark.parametrize(
    ("path", "is_seen"),
    [
        ("/src/saas/billing/models.py", True),
        ("/src/saas/mail/templates/mail/welcome.html", True),
        ("/src/saas/billing/tests/test_subscription_projection.py", False),
        ("/src/saas/docs/decisions.md", False),
        ("/src/saas/__pycache__/env.py", False),
    ],
)
def test_only_changes_of_code_and_templates_are_seen(path: str, is_seen: bool) -> None:
    assert CodeFilter()(1, path) is is_seen
